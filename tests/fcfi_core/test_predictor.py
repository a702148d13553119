"""The mask is a function of image, clicks, box and prior mask, however it is reached."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcfi_core.checkpoints import read_checkpoint, resolve, write_checkpoint
from fcfi_core.clicks import Box, Click
from fcfi_core.errors import ImageError, PromptError, SettingsError, WeightsError
from fcfi_core.model import Model, load_model
from fcfi_core.predictor import Predictor
from fcfi_core.prompt import Prompt
from fcfi_core.protocol import parity
from fcfi_core.regions import Region
from fcfi_core.rules import NO_OBJECT

CLICKS = st.lists(
    st.builds(Click, st.integers(0, 119), st.integers(0, 89), st.booleans()), min_size=1, max_size=5
)


def same(first, second):
    return np.array_equal(first.probability, second.probability) and np.array_equal(first.mask, second.mask)


@pytest.fixture(params=["product", "parity", "flip", "second look"])
def predictor(request, tiny_model):
    protocol = {
        "product": tiny_model.protocol,
        "parity": parity(64, 1.4),
        "flip": tiny_model.protocol.with_flip(),
        "second look": replace(tiny_model.protocol, second_look=1.2),
    }[request.param]
    return Predictor(tiny_model, protocol=protocol)


def test_a_click_cuts_something_out(tiny_model, photo):
    result = Predictor(tiny_model).segment(photo, [(70, 40)])
    assert result.mask.shape == (90, 120)
    assert result.mask.dtype == np.bool_
    assert result.probability.dtype == np.float32
    assert result.mask[40, 70]
    assert np.array_equal(result.mask, result.probability > 0.49)
    assert result.box is not None
    assert set(result.timings) == {"decode", "encode", "network", "rest", "total"}


def test_a_second_look_sees_more(tiny_model, photo):
    protocol = replace(tiny_model.protocol, zoom_threshold=0.9)
    once, twice = (
        Predictor(tiny_model, protocol=replace(protocol, second_look=factor)).segment(photo, [(70, 40)])
        for factor in (0, 1.2)
    )
    assert once.frame.region == Region(0, 89, 0, 119)
    assert twice.frame.scale > once.frame.scale


def test_a_negative_click_lowers_the_probability_there(tiny_model, photo):
    session = Predictor(tiny_model).open(photo)
    before = session.click(70, 40).probability[60, 30]
    assert session.click(30, 60, positive=False).probability[60, 30] < before


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


def test_the_memo_spares_work(tiny_model, photo):
    predictor = Predictor(tiny_model)
    predictor.segment(photo, [(70, 40), (20, 20, False)])
    again = predictor.segment(photo, [(70, 40), (20, 20, False)])
    assert again.timings["network"] == again.timings["encode"] == 0
    assert predictor.memo.statistics()["hits"] >= 1


def test_a_box_alone_implies_its_centre(tiny_model, photo):
    result = Predictor(tiny_model).segment(photo, box=Box(50, 20, 90, 60))
    assert result.implied_click == Click(70, 40)
    assert result.clicks == ()
    assert result.mask.any()


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


def test_the_official_protocol_knows_no_surroundings_of_a_box(tiny_model, photo):
    predictor = Predictor(tiny_model, protocol=parity())
    box = Box(50, 20, 90, 60)
    assert same(predictor.segment(photo, box=box), predictor.segment(photo, [(70, 40)], box=box))


def test_a_prior_mask_alone_implies_its_innermost_point(tiny_model, photo):
    prior = np.zeros((90, 120), bool)
    prior[20:61, 50:91] = True
    result = Predictor(tiny_model).segment(photo, prior_mask=prior)
    assert result.implied_click is not None
    assert prior[result.implied_click.y, result.implied_click.x]


def test_box_and_prior_mask_matter_beside_clicks(tiny_model, photo):
    predictor = Predictor(tiny_model)
    prior = np.zeros((90, 120), bool)
    prior[20:60, 50:90] = True
    plain = predictor.segment(photo, [(70, 40)])
    boxed = predictor.segment(photo, [(70, 40)], box=Box(50, 20, 90, 60))
    corrected = predictor.segment(photo, [(70, 40)], prior_mask=prior)
    assert not same(plain, boxed)
    assert not same(boxed, corrected)
    assert boxed.implied_click is None


def test_the_first_click_may_be_negative_with_a_prior_mask(tiny_model, photo):
    prior = np.zeros((90, 120), bool)
    prior[20:60, 50:90] = True
    session = Predictor(tiny_model).open(photo, prior_mask=prior)
    result = session.click(85, 25, positive=False)
    assert result.implied_click is None
    assert not result.notes
    assert session.undo().implied_click is not None


def test_negative_clicks_before_any_object_wait_for_it(tiny_model, photo):
    session = Predictor(tiny_model).open(photo)
    result = session.click(10, 10, positive=False)
    assert not result.mask.any()
    assert result.confidence == 0
    assert result.notes == (NO_OBJECT,)
    assert session.click(70, 40).mask.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (17, 5)])
def test_images_of_any_size(tiny_model, size):
    predictor = Predictor(tiny_model)
    pixels = np.full((*size, 3), 200, np.uint8)
    result = predictor.segment(pixels, [(0, 0), (size[1] - 1, size[0] - 1)])
    assert result.mask.shape == size


def test_nothing_to_go_by(tiny_model, photo):
    with pytest.raises(PromptError, match="no click, no box and no prior mask"):
        Predictor(tiny_model).segment(photo)
    assert Predictor(tiny_model).open(photo).result is None


def test_a_click_outside_names_itself_and_the_size(tiny_model, photo):
    session = Predictor(tiny_model).open(photo)
    with pytest.raises(PromptError, match=r"\(120, 3\).*120 x 90"):
        session.click(120, 3)
    assert session.clicks == ()


def test_a_prior_mask_of_another_size(tiny_model, photo):
    with pytest.raises(PromptError, match=r"\(5, 5\)"):
        Predictor(tiny_model).segment(photo, prior_mask=np.ones((5, 5), bool))


def test_an_empty_prior_mask_says_nothing(tiny_model, photo):
    predictor = Predictor(tiny_model)
    empty = np.zeros((90, 120), bool)
    assert same(predictor.segment(photo, [(70, 40)], prior_mask=empty), predictor.segment(photo, [(70, 40)]))


def test_the_mask_is_kept_in_the_frame_until_asked_for(tiny_model):
    large = np.zeros((3000, 4000, 3), np.uint8)
    predictor = Predictor(tiny_model)
    result = predictor.segment(large, [(2000, 1500)])
    assert result.view.size <= 64 * 64
    assert predictor.memo.statistics()["bytes"] < 1_000_000


def test_official_rules_with_a_limited_first_frame(tiny_network, photo):
    """Maps at the image's size, a first frame that is not: what bench compares with."""
    protocol = replace(parity(None), first_side=64)
    model = Model.from_network(tiny_network(), protocol=protocol, device="cpu", threads=1)
    assert Predictor(model).segment(photo, [(70, 40), (30, 20, False)]).mask.shape == (90, 120)


def test_a_fresh_process_gives_the_same_bits(photo, tmp_path):
    """The same clicks in two processes: network, model, session made anew; one of them takes a detour."""
    np.save(tmp_path / "photo.npy", photo)
    script = """
import hashlib, sys, numpy, torch
from fcfi_core import Model, Predictor
from fcfi_core.networks import registry
torch.manual_seed(5)
model = Model.from_network(registry.build("mobilenetv2"), device="cpu", threads=1)
session = Predictor(model).open(numpy.load(sys.argv[1]))
session.click(70, 40)
if sys.argv[2] == "detour":
    session.click(100, 80)
    session.undo()
result = session.click(20, 20, positive=False)
print(hashlib.sha256(result.probability.tobytes()).hexdigest())
"""
    words = [sys.executable, "-c", script, str(tmp_path / "photo.npy")]
    digests = {
        subprocess.run([*words, way], capture_output=True, check=True).stdout
        for way in ("straight", "detour")
    }
    assert len(digests) == 1


def test_warming_up_works_under_any_pixel_limit(tiny_model):
    Predictor(tiny_model, max_pixels=100).warm_up()


def test_a_positive_click_never_gives_nothing(tiny_model, photo):
    predictor = Predictor(tiny_model, protocol=replace(tiny_model.protocol, mask_threshold=1.0))
    result = predictor.segment(photo, [(20, 20)])
    assert result.mask[20, 20]
    assert "unsure" in result.notes[0]


@pytest.fixture(scope="module")
def strip():
    """A picture 30 times as wide as high, and in the middle of it a red disc."""
    random = np.random.default_rng(0)
    pixels = np.full((100, 3000, 3), (96, 104, 90), np.uint8) + random.integers(
        0, 16, (100, 3000, 3), np.uint8
    )
    rows, columns = np.mgrid[:100, :3000]
    disc = np.hypot(columns - 1500, rows - 50) <= 30
    pixels[disc] = (200, 40, 30)
    return pixels, disc


@pytest.mark.parametrize("upright", [False, True])
def test_one_click_is_enough_in_a_picture_of_any_shape(strip, upright):
    pixels, disc = strip
    click = Click(1500, 50)
    if upright:
        pixels, disc, click = np.ascontiguousarray(pixels.transpose(1, 0, 2)), disc.T, Click(50, 1500)
    mask = Predictor(load_model("default", device="cpu", threads=1)).segment(pixels, [click]).mask
    assert (mask & disc).sum() / (mask | disc).sum() > 0.9


def test_only_the_product_looks_at_a_part_of_a_strip_first(tiny_model, strip):
    pixels, _ = strip
    clicks = [Click(9, 9, positive=False), Click(1500, 50)]
    seen = Predictor(tiny_model).segment(pixels, clicks).frame.region
    assert seen == Region(0, 99, 1425, 1574)
    official = Predictor(tiny_model, protocol=replace(parity(), first_side=64))
    assert official.segment(pixels, clicks).frame.region == Region.whole(100, 3000)


def test_another_answer_in_a_strip_takes_a_click_on_the_same_place(strip):
    height, width = strip[1].shape
    assert not Prompt.of([(1500, 50), (1500, 60)]).repetitions(height, width)
    assert Prompt.of([(1500, 50), (1500, 51)]).repetitions(height, width)


# --- what Python users write ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "clicks",
    [
        [(70, 40), (5, 5, False)],
        [[70, 40, 1], [5, 5, 0]],
        ([70.2, 39.8], (5, 5, np.False_)),
        np.array([[70, 40, 1], [5, 5, 0]]),
        np.array([[70, 40, 1], [5, 5, 0]], np.float32),
        torch.tensor([[70, 40, 1], [5, 5, 0]]),
        [np.array([70, 40]), Click(5, 5, positive=False)],
        [(np.int64(70), torch.tensor(40)), (5, 5, 0)],
    ],
    ids=str,
)
def test_clicks_come_in_any_form(clicks):
    assert Prompt.of(clicks).clicks == (Click(70, 40), Click(5, 5, positive=False))


@pytest.mark.parametrize(
    "clicks",
    [7, "70,40", (70, 40), [(70,)], [(1, 2, 3)], [(1, 2, 0.5)], np.zeros((2, 4)), np.zeros(2), {1: 2}],
)
def test_what_is_no_list_of_clicks_is_named(clicks):
    with pytest.raises(PromptError, match="click"):
        Prompt.of(clicks)


@pytest.mark.parametrize(
    "box",
    [(50, 20, 90, 60), [90, 60, 50, 20], np.array([50, 20, 90, 60]), torch.tensor([50.0, 20, 90, 60])],
    ids=str,
)
def test_boxes_come_in_any_form(predictor, photo, box):
    right = predictor.segment(photo, box=Box(50, 20, 90, 60)).mask
    assert np.array_equal(predictor.segment(photo, box=box).mask, right)
    assert np.array_equal(predictor.open(photo, box=box).result.mask, right)


@pytest.mark.parametrize("box", [(1, 2, 3), "1,2,3,4", 5, np.zeros((2, 2)), ("a", 1, 2, 3)])
def test_what_is_no_box_is_named(photo, predictor, box):
    with pytest.raises(PromptError, match="box"):
        predictor.segment(photo, box=box)


def test_many_images_are_what_one_by_one_gives(predictor, photo):
    prompts = [[(70, 40)], Prompt.of(box=(50, 20, 90, 60)), np.array([[30, 30]])]
    sources = [photo, predictor.load(photo), photo[::-1]]
    found = list(predictor.segment_many(iter(sources), prompts))
    for source, prompt, result in zip(sources, prompts, found, strict=True):
        asked = prompt if isinstance(prompt, Prompt) else Prompt.of(prompt)
        assert np.array_equal(result.mask, predictor.answer(source, asked).mask)


def test_one_bad_image_does_not_spoil_the_others(predictor, photo):
    sources, prompts = [photo, "nowhere.png", photo], [[(70, 40)], [(1, 1)], [(999, 1)]]
    found = list(predictor.segment_many(sources, prompts, keep_going=True))
    assert [type(one).__name__ for one in found] == ["Result", "ImageError", "PromptError"]
    with pytest.raises(ImageError, match="nowhere"):
        list(predictor.segment_many(sources, prompts))
    with pytest.raises(SettingsError, match="one prompt for each image"):
        list(predictor.segment_many(sources, prompts[:2], keep_going=True))


def test_a_predictor_travels_to_a_worker_process(photo):
    ours = Predictor(load_model("default", device="cpu", threads=1), max_pixels=50_000, memo_bytes=7_000_000)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        theirs = pool.submit(ours.segment, photo, [(70, 40)]).result(timeout=250)
    assert np.array_equal(theirs.mask, ours.segment(photo, [(70, 40)]).mask)
    again = pickle.loads(pickle.dumps(ours))
    assert again.model.key == ours.model.key
    with pytest.raises(ImageError, match=r"0\.05 megapixels"):
        again.segment(np.zeros((300, 300), np.uint8), [(1, 1)])


def test_a_network_in_memory_travels_whole(tiny_model, photo):
    again = pickle.loads(pickle.dumps(tiny_model))
    right = Predictor(tiny_model).segment(photo, [(70, 40)])
    assert np.array_equal(Predictor(again).segment(photo, [(70, 40)]).probability, right.probability)


def test_a_model_whose_file_changed_is_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(resolve("default").read_bytes())
    sent = pickle.dumps(load_model(path, device="cpu", threads=1))
    checkpoint = read_checkpoint(path)
    state = {name: tensor * 1.5 for name, tensor in checkpoint.state.items()}
    write_checkpoint(path, state, {**checkpoint.header})
    with pytest.raises(WeightsError, match="has changed"):
        pickle.loads(sent)


def test_everything_is_told_in_one_line(predictor, photo):
    session = predictor.open(photo, box=(50, 20, 90, 60))
    for one in (predictor, predictor.model, session, session.result, session.prompt, predictor.load(photo)):
        assert len(repr(one)) < 160
        assert "\n" not in repr(one)
