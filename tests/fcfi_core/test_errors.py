"""What strangers write into a message can neither forge a line of a log nor tell a password."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fcfi_core import errors


@given(st.text())
def test_a_plain_text_is_one_printable_line(text):
    plain = errors.plain(text)
    assert plain.isprintable()
    assert len(plain.splitlines()) <= 1


@given(st.from_regex(r"[a-z]{3,8}:[^/?#\s@]{6,12}", fullmatch=True))
def test_what_stands_before_a_host_is_left_out(secret):
    told = errors.without_passwords(f"http://{secret}@host/a.png is missing; see https://other/page")
    assert told == "http://***@host/a.png is missing; see https://other/page"


def test_all_have_one_root():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, errors.FcfiError) for kind in kinds)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)
