"""What ``iscrowd`` 1 means in a COCO file: a crowd, or only that a mask is a run-length code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# What datumaro, which several annotation tools export with, puts at the head of every file.
_DATUMARO = {
    "info": dict.fromkeys(("contributor", "date_created", "description", "url", "version", "year"), ""),
    "licenses": [{"name": "", "id": 0, "url": ""}],
}
# What supervision puts there.
_SUPERVISION = {
    "info": {},
    "licenses": [{"id": 1, "url": "https://creativecommons.org/licenses/by/4.0/", "name": "CC BY 4.0"}],
}
_LARGEST_SHARE = 0.1
_UNMARKED = ("", "0", "0.0", "false", "no", "none", "null")


class Crowds:
    """Tells crowds from objects in one file.

    COCO marks regions of many objects with ``iscrowd`` 1, and stores them as run-length codes. Many tools
    mark every run-length code so: datumaro (``coco/exporter.py``, ``is_crowd = mask is not None``),
    supervision, scripts. A marked polygon is a crowd. A marked run-length code is an object if

    - its ``attributes`` hold ``occluded``, which annotation tools set and COCO never has; or
    - datumaro wrote the file, and no category has a supercategory: datumaro keeps those of a set that it
      merely converts, such as COCO's, whose crowds are real; or
    - supervision wrote the file; or
    - nothing shows that the file means crowds by it: it does not call itself COCO, every run-length code in
      it is marked, none has ``occluded``, and more than a tenth of all annotations are marked (in COCO about
      a hundredth is).

    Args:
        content: of the file.
        annotations: all of it.
    """

    def __init__(self, content: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> None:
        categories = content.get("categories")
        self._marks_codes = _written(_DATUMARO, content) and not any(
            isinstance(one, Mapping) and one.get("supercategory")
            for one in (categories if isinstance(categories, list) else ())
        )
        self._marks_codes |= _written(_SUPERVISION, content) or _only_marks_codes(content, annotations)

    def __contains__(self, annotation: Mapping[str, Any]) -> bool:
        if not _is_marked(annotation):
            return False
        if not _is_code(annotation):
            return True
        return not (_is_drawn(annotation) or self._marks_codes)


def _written(head: Mapping[str, Any], content: Mapping[str, Any]) -> bool:
    return all(content.get(key) == value for key, value in head.items())


def _only_marks_codes(content: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> bool:
    if "coco" in repr(content.get("info", "")).lower():
        return False
    codes = [one for one in annotations if _is_code(one)]
    if not all(map(_is_marked, codes)) or any(map(_is_drawn, codes)):
        return False
    return len(codes) > _LARGEST_SHARE * len(annotations)


def _is_marked(annotation: Mapping[str, Any]) -> bool:
    marked = annotation.get("iscrowd")
    return marked.strip().lower() not in _UNMARKED if isinstance(marked, str) else bool(marked)


def _is_code(annotation: Mapping[str, Any]) -> bool:
    return isinstance(annotation.get("segmentation"), Mapping)


def _is_drawn(annotation: Mapping[str, Any]) -> bool:
    attributes = annotation.get("attributes")
    return isinstance(attributes, Mapping) and "occluded" in attributes
