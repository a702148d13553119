"""JSON from strangers: what only Python's own reader takes is still taken, if it is not large."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcfi_core.serving import bodies
from fcfi_core.serving.bodies import read_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@given(VALUES, st.booleans())
def test_what_python_writes_is_read(value, ascii_only):
    try:
        body = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:  # half a character has no form in UTF-8
        return
    assert read_json(body) == value


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_python_does_or_refused(body):
    try:
        expected = json.loads(body)
    except (ValueError, RecursionError):
        with pytest.raises(ValueError):  # noqa: PT011 (whichever reader says so)
            read_json(body)
        return
    assert repr(read_json(body)) == repr(expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings(encoding):
    assert read_json('{"a": "é"}'.encode(encoding)) == {"a": "é"}


def test_what_the_standard_does_not_have():
    assert math.isnan(read_json(b"NaN"))
    assert read_json(b'"\\ud800"') == "\ud800"
    assert read_json(b"[1e400]") == [math.inf]


@pytest.mark.parametrize("body", [b"[" * 100_000, b"1" * 100_000, b'{"a":' * 5000, b""])
def test_neither_depth_nor_length_is_more_than_a_refusal(body):
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(body)


def test_a_large_body_that_is_no_json_is_read_once(monkeypatch):
    monkeypatch.setattr(bodies, "_SECOND_LOOK", 3)
    assert read_json(b"[1, 2]") == [1, 2]
    with pytest.raises(ValueError, match="standard"):
        read_json(b"[NaN]")
