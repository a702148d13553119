"""Bodies of several parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.errors import PromptError
from fcfi_core.serving.api.forms import MOST_PARTS, boundary_of, parts_of

BOUNDARY = b"----a-boundary"


def form(parts):
    body = b""
    for name, content in parts:
        head = b'--%s\r\nContent-Disposition: form-data; name="%s"; filename="a.png"\r\n' % (BOUNDARY, name)
        body += head + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n"
    return body + b"--" + BOUNDARY + b"--\r\n"


@given(st.dictionaries(st.sampled_from([b"image", b"request", b"more"]), st.binary(max_size=300)))
def test_parts_come_back_as_they_were(parts):
    if not parts:
        return
    found = parts_of(form(parts.items()), BOUNDARY)
    assert found == {name.decode(): content for name, content in parts.items()}


@given(st.binary(max_size=200))
def test_anything_else_is_a_sentence(body):
    with pytest.raises(PromptError, match="form"):
        parts_of(body, BOUNDARY)


@given(st.integers(0, 200))
def test_a_form_cut_short_is_refused(length):
    whole = form([(b"image", b"0123456789" * 10)])
    if length < len(whole) - 4:
        with pytest.raises(PromptError, match="cut short"):
            parts_of(whole[:length], BOUNDARY)


def test_a_name_twice_and_too_many_names_are_refused():
    with pytest.raises(PromptError, match="twice"):
        parts_of(form([(b"image", b"1"), (b"image", b"2")]), BOUNDARY)
    with pytest.raises(PromptError, match="more than"):
        parts_of(form([(b"part%d" % number, b"") for number in range(MOST_PARTS + 1)]), BOUNDARY)


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ("multipart/form-data; boundary=x", b"x"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data", b""),
        ("application/json", None),
        ("", None),
    ],
)
def test_boundaries(kind, boundary):
    assert boundary_of(kind) == boundary


def test_a_form_without_boundary_is_refused():
    with pytest.raises(PromptError, match="form"):
        parts_of(b"anything", b"")
