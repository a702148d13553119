"""Bodies of several parts (multipart/form-data): a photo, and what is asked of it."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from fcfi_core.errors import PromptError
from fcfi_core.prompt import shown

MOST_PARTS = 8

_DAMAGED = "the form cannot be read: its parts are damaged or cut short."


def boundary_of(content_type: str) -> bytes | None:
    """Return what separates the parts of a body; None if it is none of several parts."""
    kind, options = parse_options_header(content_type)
    return options.get(b"boundary", b"") if kind == b"multipart/form-data" else None


def parts_of(body: bytes, boundary: bytes) -> dict[str, bytes]:
    """Return the content of each part by its name.

    Args:
        body: the whole body.
        boundary: from :func:`boundary_of`.

    Raises:
        PromptError: if it cannot be read as that.
    """
    reader = _Reader()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.add_to_name,
                "on_header_value": reader.add_to_value,
                "on_header_end": reader.end_header,
                "on_part_data": reader.add_to_content,
                "on_part_end": reader.end_part,
                "on_end": reader.end,
            },
        )
        parser.write(body)
    except FormParserError:
        raise PromptError(_DAMAGED) from None
    if not reader.ended:
        raise PromptError(_DAMAGED)
    return reader.found


class _Reader:
    """Puts together what the parser hands over piece by piece."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}
        self.ended = False
        self.begin()

    def begin(self) -> None:
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._content: list[bytes] = []

    def add_to_name(self, data: bytes, start: int, stop: int) -> None:
        self._header += data[start:stop]

    def add_to_value(self, data: bytes, start: int, stop: int) -> None:
        self._value += data[start:stop]

    def end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def add_to_content(self, data: bytes, start: int, stop: int) -> None:
        self._content.append(data[start:stop])

    def end_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name in self.found or len(self.found) >= MOST_PARTS:
            raise PromptError(f"the form has the part {shown(name)} twice, or more than {MOST_PARTS} parts.")
        self.found[name] = b"".join(self._content)

    def end(self) -> None:
        self.ended = True
