"""What Label Studio tells at ``/setup``: a labelling config that cannot work is said once, in the log."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict

from label_studio_backend.labelling_advice import examine
from label_studio_backend.settings import as_mapping

_MOST_PROJECTS = 1000


class Setups:
    """Remembers which configs were looked at; thread-safe and bounded.

    Args:
        background: the label whose clicks are negative.
    """

    def __init__(self, background: str) -> None:
        self._background = background
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, int] = OrderedDict()

    def remarks(self, body: bytes) -> list[str]:
        """Return what keeps the project in a request's ``body`` from working; [] the second time.

        Label Studio asks each time it shows the project. Of the body, which holds a token, only a hash of
        the config is kept.
        """
        try:
            content = as_mapping(json.loads(body))
        except (ValueError, RecursionError):
            return []
        project, config = str(content.get("project") or "")[:100], content.get("schema")
        number = project.partition(".")[0]
        if not isinstance(config, str) or not config or not number.isdecimal():
            return []
        with self._lock:
            known = self._seen.get(project)
            self._seen[project] = hash(config)
            self._seen.move_to_end(project)
            while len(self._seen) > _MOST_PROJECTS:
                self._seen.popitem(last=False)
        if known == hash(config):
            return []
        remarks, _ = examine(config, self._background)
        return [
            f"project {number}: {remark.text} (fcfi doctor label-studio --project {number})"
            for remark in remarks
            if not remark.good
        ]
