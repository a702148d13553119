"""Clicks with a label that means "not this"."""

from __future__ import annotations

import pytest

from label_studio_backend.background import BackgroundClicks
from label_studio_backend.prompts import from_context


@pytest.fixture
def memory(clock):
    return BackgroundClicks(clock=clock)


@pytest.fixture
def ask(memory, click):
    def ask(*idents, label="cell", task=1, drafts=()):
        (prompt,) = from_context([click(1, 1, ident=ident, label=label) for ident in idents])
        merged = memory.complete(task, prompt, background=label == "background", drafts=drafts)
        return merged.label, [(dot.ident, dot.positive) for dot in merged.clicks]

    return ask


def test_both_lists_are_one_object_in_the_order_of_the_clicks(ask):
    assert ask("a") == ("cell", [("a", True)])
    assert ask("x", label="background") == ("cell", [("a", True), ("x", False)])
    assert ask("a", "b") == ("cell", [("a", True), ("x", False), ("b", True)])
    assert ask("x", "y", label="background")[1] == [("a", True), ("x", False), ("b", True), ("y", False)]


def test_a_deleted_click_leaves(ask):
    ask("a", "b")
    ask("x", label="background")
    assert ask("a", "c")[1] == [("a", True), ("x", False), ("c", True)]


def test_the_next_object_starts_without_the_old_clicks(ask):
    ask("a")
    ask("x", label="background")
    assert ask("n") == ("cell", [("n", True)])
    assert ask("z", label="background") == ("cell", [("n", True), ("z", False)])


def test_tasks_do_not_mix(ask):
    ask("a")
    assert ask("x", label="background", task=2) == ("background", [("x", False)])


def test_after_a_restart_the_draft_stands_in(ask, click):
    draft = [
        click(1, 1, ident="a"),
        click(2, 2, False, ident="b"),
        click(3, 3, ident="x", label="background"),
    ]
    label, clicks = ask("x", label="background", drafts=[draft])
    assert (label, clicks) == ("cell", [("a", True), ("b", False), ("x", False)])


def test_what_is_remembered_is_forgotten_after_an_hour(ask, clock):
    ask("a")
    clock.now = 4000.0
    assert ask("x", label="background")[0] == "background"


def test_what_is_remembered_is_bounded_in_bytes_too(memory, ask, click):
    """Names of any length, and brush strokes of any number of samples, are remembered for a while only."""
    for task in range(60):
        ask("x" * 1_000_000, task=task)
        stroke = {**click(1, 1, ident="s"), "type": "brushlabels"}
        stroke["value"] = {"rle": [0] * 100_000, "brushlabels": ["cell"]}
        (prompt,) = from_context([stroke, click(1, 1)])
        memory.complete(f"b{task}", prompt, background=False, drafts=())
    assert memory.size <= 8_000_000
    assert ask("a", task="new") == ("cell", [("a", True)])
    assert ask("n", label="background", task="new") == ("cell", [("a", True), ("n", False)])


def test_the_operator_says_how_many_bytes(clock, click):
    memory = BackgroundClicks(most_bytes=5000, clock=clock)
    for task in range(20):
        (prompt,) = from_context([click(1, 1)])
        memory.complete(task, prompt, background=False, drafts=())
    assert 0 < memory.size <= 5000
