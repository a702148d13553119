"""Kinds of access tokens, and the exchange of the personal ones."""

from __future__ import annotations

import base64
import json

import pytest

from fcfi_core.errors import ImageError
from label_studio_backend.tokens import Token, bare, kind_of


def jwt(**claims):
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.signature"


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("", "none"),
        ("5f0c1e2d3b4a59687786950413223140aabbccdd", "legacy"),
        ("a.b.c", "unknown"),
        ("my token", "unknown"),
        ("a.W10.c", "unknown"),
        (jwt(token_type="refresh"), "personal"),
        (jwt(token_type="access"), "access"),
    ],
)
def test_kinds(token, kind):
    assert kind_of(token) == kind


@pytest.mark.parametrize(
    "copied", [" abc\n", '"abc"', "Token abc", "Authorization: Token abc", "'Bearer  abc'"]
)
def test_a_token_may_be_copied_with_what_stands_around_it(copied):
    assert bare(copied) == "abc"


def test_headers_of_tokens_that_need_no_exchange():
    def never(personal):
        raise AssertionError

    assert Token("", never).headers() == {}
    assert Token("abc", never).headers() == {"Authorization": "Token abc"}
    access = jwt(token_type="access")
    assert Token(access, never).headers() == {"Authorization": f"Bearer {access}"}


def test_a_personal_token_is_exchanged_and_renewed_in_time():
    now, asked = [1000.0], []

    def refresh(personal):
        asked.append(personal)
        return jwt(token_type="access", exp=now[0] + 300)

    personal = jwt(token_type="refresh")
    token = Token(personal, refresh, clock=lambda: now[0])
    first = token.headers()
    assert first["Authorization"].startswith("Bearer e30.")
    now[0] += 200
    assert token.headers() == first
    now[0] += 75  # 25 seconds are left
    assert token.headers() != first
    token.forget_access()
    token.headers()
    assert asked == [personal] * 3


def test_an_unusable_access_token_is_said():
    with pytest.raises(ImageError, match="personal access token"):
        Token(jwt(token_type="refresh"), lambda personal: "nonsense").headers()
