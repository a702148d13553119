"""A session is its clicks: growing, undoing and forgetting change no bit of the mask."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.clicks import Box, Click
from fcfi_core.errors import PromptError
from fcfi_core.predictor import Predictor
from tests.fcfi_core.test_predictor import same

CLICKS = st.lists(
    st.builds(Click, st.integers(0, 119), st.integers(0, 89), st.booleans()), min_size=1, max_size=5
)


def test_growing_equals_segmenting(predictor, photo, tiny_model):
    session = predictor.open(photo)
    clicks = [Click(70, 40), Click(20, 20, False), Click(100, 80), Click(60, 45)]
    fresh = Predictor(tiny_model, protocol=predictor.protocol, memo_bytes=0)
    for count, click in enumerate(clicks, 1):
        grown = session.click(click.x, click.y, click.positive)
        assert same(grown, fresh.segment(photo, clicks[:count]))


def test_undo_returns_the_same_bits(predictor, photo):
    session = predictor.open(photo)
    results = [session.click(70, 40), session.click(20, 20, False), session.click(100, 80)]
    assert same(session.undo(), results[1])
    assert same(session.undo(), results[0])
    assert session.undo() is None
    assert session.clicks == ()
    with pytest.raises(PromptError, match="no click to undo"):
        session.undo()


def test_reset_leaves_nothing_to_undo(predictor, photo):
    session = predictor.open(photo, box=Box(50, 20, 90, 60))
    before = session.result
    session.click(60, 50)
    session.reset()
    assert same(session.result, before)
    with pytest.raises(PromptError, match="no click to undo"):
        session.undo()


def test_interleaving_forgetting_and_replaying_change_nothing(tiny_model, photo):
    images = [photo, photo[::-1].copy()]

    @given(st.lists(st.tuples(st.integers(0, 1), st.one_of(st.none(), CLICKS.map(lambda some: some[0])))))
    @settings(max_examples=15, deadline=None)
    def check(steps):
        small = Predictor(tiny_model, memo_bytes=200_000)
        sessions = [small.open(image) for image in images]
        for index, click in steps:
            session = sessions[index]
            if click is None and not session.clicks:
                session.reset()
            elif click is None:
                session.undo()
            else:
                session.click(click.x, click.y, click.positive)
        fresh = Predictor(tiny_model, memo_bytes=0)
        for image, session in zip(images, sessions, strict=True):
            if session.clicks:
                assert same(session.result, fresh.segment(image, session.clicks))

    check()


def test_threads_do_not_disturb_each_other(tiny_model, photo):
    shared = Predictor(tiny_model, memo_bytes=300_000)
    chains = [[(10 + 12 * index, 40), (70, 40), (30, 5 * index, False)] for index in range(6)]
    found = {}

    def work(index):
        session = shared.open(photo)
        for x, y, *sign in chains[index]:
            found[index] = session.click(x, y, *sign)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = Predictor(tiny_model, memo_bytes=0)
    assert all(same(found[index], alone.segment(photo, chain)) for index, chain in enumerate(chains))


def test_clicks_go_on_from_the_mask_that_the_box_gave(tiny_model, photo):
    remembering = Predictor(tiny_model)
    session = remembering.open(photo, box=Box(50, 20, 90, 60))
    assert session.result.mask.any()
    before = remembering.memo.statistics()["hits"]
    session.click(60, 50, positive=False)
    assert remembering.memo.statistics()["hits"] > before
    alone = Predictor(tiny_model, memo_bytes=0)
    clicks = [(60, 50, False)]
    assert same(session.result, alone.segment(photo, clicks, box=Box(50, 20, 90, 60)))


def test_the_first_click_may_be_negative_with_a_prior_mask(tiny_model, photo):
    prior = np.zeros((90, 120), bool)
    prior[20:60, 50:90] = True
    session = Predictor(tiny_model).open(photo, prior_mask=prior)
    result = session.click(85, 25, positive=False)
    assert result.implied_click is None
    assert not result.notes
    assert session.undo().implied_click is not None


def test_a_click_outside_names_itself_and_the_size(tiny_model, photo):
    session = Predictor(tiny_model).open(photo)
    with pytest.raises(PromptError, match=r"\(120, 3\).*120 x 90"):
        session.click(120, 3)
    assert session.clicks == ()
