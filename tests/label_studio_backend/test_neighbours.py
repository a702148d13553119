"""Finished regions of the draft: what a request holds of them, and whose they are."""

from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.masks import label_studio as code

SIZE = 64, 48


def region(mask, ident="done", **more):
    """Return a brush region as a draft holds it."""
    return {
        "id": ident,
        "type": "brushlabels",
        "from_name": "mask",
        "to_name": "image",
        "original_width": mask.shape[1],
        "original_height": mask.shape[0],
        "value": {"format": "rle", "rle": code.encode(mask), "brushlabels": ["cell"]},
        **more,
    }


def draft(*results, user="anna", updated="2026-11-01T10:00:00Z"):
    return {"id": 1, "user": user, "annotation": None, "updated_at": updated, "result": list(results)}


@pytest.fixture
def right_half():
    half = np.zeros(SIZE[::-1], bool)
    half[:, 30:] = True
    return half


@pytest.fixture
def ask(make_client, body):
    """Return a function that asks with drafts and gives (mask, notes)."""
    clients = {exclusive: make_client(exclusive=exclusive) for exclusive in (True, False)}

    def ask(items, *drafts, exclusive=True):
        answer = clients[exclusive].post("/predict", json=body(items, task={"drafts": list(drafts)}))
        content = answer.json()
        assert answer.status_code == 200, content
        regions = content["results"][0]["result"]
        mask = (
            np.logical_or.reduce([code.decode(one["value"]["rle"], *SIZE) for one in regions])
            if regions
            else None
        )
        return mask, content.get("notes", [])

    return ask


def test_a_finished_region_keeps_its_pixels(ask, click, right_half):
    whole, _ = ask([click(25, 26)])
    assert (whole & right_half).any()
    found, notes = ask([click(25, 26)], draft(region(right_half)))
    assert np.array_equal(found, whole & ~right_half)
    assert notes == []


def test_it_is_off_unless_asked_for(ask, click, right_half):
    whole, _ = ask([click(25, 26)])
    assert np.array_equal(ask([click(25, 26)], draft(region(right_half)), exclusive=False)[0], whole)


def test_who_clicks_in_it_wants_it(ask, click, right_half):
    clicks = [click(25, 26), click(33, 26)]
    whole, _ = ask(clicks)
    assert np.array_equal(ask(clicks, draft(region(right_half)))[0], whole)


def test_the_newest_draft_counts(ask, click, right_half):
    whole, _ = ask([click(25, 26)])
    old = draft(region(right_half), updated="2026-11-01T09:00:00Z")
    assert np.array_equal(ask([click(25, 26)], draft(), old)[0], whole)


def test_of_several_annotators_only_the_one_whose_dot_it_is_counts(ask, click, right_half):
    dot = click(25, 26, ident="dot")
    whole, _ = ask([dot])
    hers, his = draft(region(right_half)), draft(region(~right_half, "other"), user="ben")
    assert np.array_equal(ask([dot], hers, his)[0], whole), "nobody can tell who clicks"
    hers["result"].append(dot)
    assert np.array_equal(ask([dot], hers, his)[0], whole & ~right_half)


def test_regions_of_other_pictures_and_tags_do_not_count(ask, click, right_half):
    whole, _ = ask([click(25, 26)])
    elsewhere = draft(region(right_half, to_name="second"), region(right_half, "b", item_index=1))
    assert np.array_equal(ask([click(25, 26)], elsewhere)[0], whole)


def test_a_damaged_region_costs_itself_alone(ask, click, right_half):
    broken = region(right_half, "broken")
    broken["value"]["rle"] = [1, 2, 3]
    whole, _ = ask([click(25, 26)])
    found, notes = ask(
        [click(25, 26)], draft(broken, "junk", {"id": [1]}, None, region(right_half)), {"result": 7}
    )
    assert np.array_equal(found, whole & ~right_half)
    assert ["'broken' cannot be read" in note for note in notes] == [True]
