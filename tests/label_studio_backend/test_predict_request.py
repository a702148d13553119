"""Which requests replace each other."""

from __future__ import annotations

import pytest

from fcfi_core.errors import PromptError
from label_studio_backend.predict_request import PredictRequest


def turn(body, *items, **task):
    return PredictRequest.parse(body(list(items), task=task)).turn


def test_a_longer_list_of_the_same_object_is_newer(body, click):
    first, second = click(29, 26, ident="a"), click(5, 5, False, ident="b")
    short, long = turn(body, first), turn(body, first, second)
    assert short.of == long.of
    assert short.is_older_than(long)
    assert not long.is_older_than(short)
    assert turn(body, first) == short


@pytest.mark.parametrize(
    "other",
    [
        {"x": 30, "ident": "a"},  # scripts that number their dots give ids out twice
        {"x": 29, "ident": "z"},
        {"x": 29, "ident": "a", "to_name": "other"},
    ],
)
def test_other_objects_replace_nothing(body, click, other):
    there = click(other.pop("x"), 26, **other)
    assert turn(body, click(29, 26, ident="a")).of != turn(body, there, click(5, 5)).of


def test_other_tasks_replace_nothing(body, click):
    assert turn(body, click(29, 26), id=1).of != turn(body, click(29, 26), id=2).of


def test_what_has_no_id_or_no_prompt_stands_alone(body, click):
    assert turn(body) is None
    assert turn(body, {**click(29, 26), "id": None}) is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"tasks": []}', b'{"tasks": [1]}'])
def test_anything_else_is_refused(content):
    with pytest.raises(PromptError):
        PredictRequest.parse(content)
