"""OpenVINO gives torch's answers, from graphs that hold no weights, and always the same bits."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcfi_core import load_model
from fcfi_core.checkpoints import resolve
from fcfi_core.checkpoints.files import describe
from fcfi_core.engines import graphs, openvino_bf16_engine, openvino_engine
from fcfi_core.engines.openvino_engine import OpenVinoEngine
from fcfi_core.engines.torch_engine import TorchEngine
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.networks.registry import VARIANTS, build

pytest.importorskip("openvino")

TOLERANCE = 2e-5
"""Of logits and probabilities, as a share of each map's range (at least 1): float32 sums in another order."""

RESTING = """
from pathlib import Path
from fcfi_core import Predictor, load_model

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line for line in lines if line.startswith("VmRSS:")).split()[1]

predictor = Predictor(load_model("default", engine="openvino", threads=1))
predictor.warm_up()
busy = resident()
predictor.model.engine.rest()
print(busy, resident())
"""

SIZES = [(64, 96), (128, 64), (64, 64)]


def network_of(variant):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = build(variant).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.3, 1.5)
                module.weight.data.uniform_(0.8, 1.6)
        if variant == "mobilenetv2":
            module = network.refinement[-1]
            module.weight.data.normal_(0, 0.3)
    return network


def arrays_of(network):
    return {name: tensor.numpy() for name, tensor in network.state_dict().items()}


def asked(size, count, batch=1, seed=0):
    """Images, and the arguments of a decode after them."""
    random = np.random.default_rng([seed, count, *size])
    height, width = size
    points = np.full((batch, 2 * count, 3), -1, np.float32)
    newest = np.zeros((batch, 1, 3), np.int64)
    for sample, last in zip(points, newest, strict=True):
        for order in range(count):
            row = count * (order % 2) + order // 2
            sample[row] = (*(random.random(2) * (height, width)), order)
            last[0] = (*sample[row, :2].astype(int), 1 - order % 2)
    images = random.random((batch, height, width, 3), dtype=np.float32)
    feedback = random.random((batch, height, width), dtype=np.float32)
    return images, (feedback, points, newest, float(count > 1))


def assert_same(ours, theirs):
    for name in ("logits", "corrected", "fused"):
        mine, wanted = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == wanted.shape
        assert mine.dtype == np.float32
        np.testing.assert_allclose(
            mine, wanted, rtol=0, atol=TOLERANCE * max(1, float(np.ptp(wanted))), err_msg=name
        )


@pytest.fixture(scope="module")
def default():
    return load_model("default", engine="openvino", threads=1).engine


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_answers_as_torch_does(variant):
    network = network_of(variant)
    ours = OpenVinoEngine(graphs.read(variant), arrays_of(network), {}, threads=1)
    theirs = TorchEngine(network, "cpu", threads=1)
    sizes = SIZES if ours.size_multiple > 1 else [*SIZES, (53, 75)]
    assert ours.size_multiple == theirs.size_multiple
    for size in sizes:
        for count in (1, 2, 7):
            images, rest = asked(size, count)
            assert_same(ours.decode(ours.encode(images), *rest), theirs.decode(theirs.encode(images), *rest))


def test_the_default_model_answers_as_torch_does(default):
    theirs = load_model("default", engine="torch", threads=1).engine
    for size in ((288, 384), (384, 192), (48, 384)):
        for count in (1, 3, 20):
            images, rest = asked(size, count, batch=2)
            ours = default.decode(default.encode(images), *rest)
            assert_same(ours, theirs.decode(theirs.encode(images), *rest))
            assert np.ptp(ours.logits) > 3


def test_all_answers_to_a_first_click_are_those_of_torch():
    torch.manual_seed(0)
    network = build("mobilenetv2", other_answers=2).eval()
    torch.nn.init.normal_(network.others.change.weight)
    ours = OpenVinoEngine(graphs.read("mobilenetv2"), arrays_of(network), {"other_answers": 2}, threads=1)
    theirs = TorchEngine(network, "cpu", threads=1)
    assert ours.other_answers == theirs.other_answers == 2
    for size in SIZES:
        images, (_, points, newest, _) = asked(size, 1, batch=2)
        mine, wanted = (
            engine.first_answers(engine.encode(images), size, points, newest) for engine in (ours, theirs)
        )
        assert mine.shape == (2, 3, *size)
        np.testing.assert_allclose(mine, wanted, rtol=0, atol=TOLERANCE * max(1, float(np.ptp(wanted))))
        assert not np.array_equal(mine[:, 1], mine[:, 2])
        nothing = np.zeros((2, *size), np.float32)
        usual = ours.decode(ours.encode(images), nothing, points, newest, 0.0).logits
        np.testing.assert_allclose(mine[:, 0], usual, rtol=0, atol=TOLERANCE * max(1, float(np.ptp(usual))))


def test_weights_with_and_without_other_answers_have_the_same_graph():
    graph = graphs.read("mobilenetv2")
    assert graph.fits({"other_answers": 2})
    assert graph.fits({"other_answers": 0})
    assert not graph.fits({"other_answers": 3})
    plain = OpenVinoEngine(graph, arrays_of(build("mobilenetv2")), {}, threads=1)
    assert plain.other_answers == 0


def test_constructor_arguments_outside_the_graph_count():
    network = build("mobilenetv2", expansion_ratio=0.7).eval()
    ours = OpenVinoEngine(graphs.read("mobilenetv2"), arrays_of(network), {"expansion_ratio": 0.7}, 1)
    theirs = TorchEngine(network, "cpu", threads=1)
    images, rest = asked((96, 128), 3)
    assert_same(ours.decode(ours.encode(images), *rest), theirs.decode(theirs.encode(images), *rest))


def test_every_part_of_the_question_matters(default):
    images, (feedback, points, newest, _) = asked((96, 128), 4)
    encoded = default.encode(images)
    first = default.decode(encoded, feedback, points, newest, 1.0).logits
    moved_points, moved_newest = points.copy(), newest + np.array([9, 30, 0])
    moved_points[0, 0, :2] = 70, 20
    others = [
        (default.encode(1 - images), feedback, points, newest, 1.0),
        (encoded, 1 - feedback, points, newest, 1.0),
        (encoded, feedback, moved_points, newest, 1.0),
        (encoded, feedback, points, moved_newest, 1.0),
        (encoded, feedback, points, newest * [1, 1, 0] + [0, 0, 1 - newest[0, 0, 2]], 1.0),
        (encoded, feedback, points, newest, 0.0),
    ]
    for other in others:
        assert not np.array_equal(default.decode(*other).logits, first)


BITS = """
import hashlib, sys
import numpy as np
from fcfi_core import load_model

def bits(engine):
    digest = hashlib.sha256()
    for size in ((288, 384), (64, 96), (384, 384), (288, 384)):
        random = np.random.default_rng(size[0])
        images = random.random((1, *size, 3), dtype=np.float32)
        feedback = random.random((1, *size), dtype=np.float32)
        points = np.array([[[30, 40, 0], [-1, -1, -1]]], np.float32)
        maps = engine.decode(engine.encode(images), feedback, points, np.array([[[30, 40, 1]]]), 1.0)
        for found in (maps.logits, maps.corrected, maps.fused):
            digest.update(found.tobytes())
    return digest.hexdigest()

def engine_of(name, threads):
    return load_model("default", engine=name, threads=threads).engine
"""

needs_bf16 = pytest.mark.skipif(
    not openvino_bf16_engine.has_bf16(), reason="this CPU does not calculate with bfloat16"
)
PRECISIONS = ["openvino", pytest.param("openvino-bf16", marks=needs_bf16)]


@pytest.mark.parametrize("name", PRECISIONS)
def test_bits_are_equal_over_repeats_threads_and_processes(name):
    space = {}
    exec(BITS, space)
    bits, engine = space["bits"], space["engine_of"](name, 1)
    first = bits(engine)
    found = []
    callers = [threading.Thread(target=lambda: found.append(bits(engine))) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == [first] * 3
    assert bits(space["engine_of"](name, 2)) == first
    for threads in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", f"{BITS}\nprint(bits(engine_of({name!r}, {threads})))"],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        assert done.stdout.strip() == first


def test_an_image_does_not_depend_on_what_stands_beside_it(default):
    images, rest = asked((96, 128), 3, batch=2)
    both = default.decode(default.encode(images), *rest)
    feedback, points, newest, gate = rest
    alone = default.decode(default.encode(images[1:]), feedback[1:], points[1:], newest[1:], gate)
    np.testing.assert_array_equal(both.logits[1], alone.logits[0])


def test_what_was_encoded_stays_as_it_is(default):
    images, rest = asked((96, 128), 3)
    encoded = default.encode(images)
    before = default.decode(encoded, *rest).logits
    default.encode(1 - images)
    np.testing.assert_array_equal(default.decode(encoded, *rest).logits, before)
    assert encoded.size == sum(maps.nbytes for maps in encoded.value[0])


def test_resting_changes_no_bit(default):
    images, rest = asked((96, 128), 3)
    encoded = default.encode(images)
    before = default.decode(encoded, *rest).logits
    default.rest()
    np.testing.assert_array_equal(default.decode(encoded, *rest).logits, before)
    default.rest()
    np.testing.assert_array_equal(default.decode(default.encode(images), *rest).logits, before)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells the memory of a process")
def test_resting_gives_memory_back():
    done = subprocess.run([sys.executable, "-c", RESTING], capture_output=True, text=True, check=True)
    busy, resting = map(int, done.stdout.split())
    assert resting < busy - 30_000  # KiB


def test_two_new_clicks_at_once_are_refused(default):
    images, (feedback, points, newest, gate) = asked((64, 64), 2)
    with pytest.raises(SettingsError, match="takes one"):
        default.decode(default.encode(images), feedback, points, np.repeat(newest, 2, axis=1), gate)


def test_weights_of_another_architecture_are_refused():
    graph, weights = graphs.read("mobilenetv2"), arrays_of(build("mobilenetv2"))
    name = "backbone.features.1.conv.0.0.weight"
    with pytest.raises(WeightsError, match=f"'{name}' is missing"):
        OpenVinoEngine(graph, {key: weight for key, weight in weights.items() if key != name}, {})
    with pytest.raises(WeightsError, match=f"'{name}' has the shape"):
        OpenVinoEngine(graph, {**weights, name: weights[name][:, :, :1]}, {})
    for kind in (bool, np.int8, np.uint64, np.float64):
        with pytest.raises(WeightsError, match=rf"'{name}' is \w+, but mobilenetv2 needs float32"):
            OpenVinoEngine(graph, {**weights, name: weights[name].astype(kind)}, {})
    with pytest.raises(WeightsError, match="lack the tensor"):
        OpenVinoEngine(graph, {key: weights[key] for key in weights if "running_mean" not in key}, {})


def test_a_graph_with_another_input_is_refused(monkeypatch):
    graph, weights = graphs.read("mobilenetv2"), arrays_of(build("mobilenetv2"))
    files = graphs.files

    def renamed(variant, part):
        description, constants = files(variant, part)
        return description.replace(b'"spread_rows"', b'"other"'), constants

    monkeypatch.setattr(graphs, "files", renamed)
    with pytest.raises(WeightsError, match=r"wants .*other"):
        OpenVinoEngine(graph, weights, {})


def test_obstacles_are_told():
    description = describe(resolve("default"))
    assert openvino_engine.obstacle(description, "cpu") is None
    assert "runs on the CPU" in openvino_engine.obstacle(description, "cuda")
    wide = replace(description, arguments={"width": 64})
    assert "other arguments" in openvino_engine.obstacle(wide, "cpu")
    assert "no graph" in openvino_engine.obstacle(replace(description, variant="unknown"), "cpu")


@pytest.mark.parametrize("variant", VARIANTS)
def test_graphs_know_the_arguments_of_the_network_as_it_is_now(variant):
    graph = graphs.read(variant)
    names = set(graph.arguments)
    assert graph.fits({})
    assert graph.fits(dict.fromkeys(names & {"disk_radius", "expansion_ratio"}, 2))
    assert graph.fits({name: VARIANTS[variant].argument(name) for name in names})
    assert not graph.fits({"unheard_of": 1})


def test_a_damaged_file_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(graphs, "FOLDER", tmp_path)
    assert graphs.read("hrnet18") is None
    (tmp_path / "hrnet18.zip").write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="install the package again"):
        graphs.read("hrnet18")


def test_exporting_again_gives_the_same_graph(tmp_path, monkeypatch, default):
    from fcfi_core.engines.export import export

    images, rest = asked((96, 128), 3)
    before = graphs.read("mobilenetv2"), default.decode(default.encode(images), *rest)
    monkeypatch.setattr(graphs, "FOLDER", tmp_path)
    assert export("mobilenetv2").parent == tmp_path
    again = load_model("default", engine="openvino", threads=1).engine
    assert graphs.read("mobilenetv2") == before[0]
    after = again.decode(again.encode(images), *rest)
    for name in ("logits", "corrected", "fused"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before[1], name))


@needs_bf16
def test_bfloat16_answers_nearly_as_float32_does_and_has_a_name_of_its_own(default):
    short = load_model("default", engine="openvino-bf16", threads=1)
    assert short.key != load_model("default", engine="openvino", threads=1).key
    images, rest = asked((96, 128), 3)
    one, other = (engine.decode(engine.encode(images), *rest).logits for engine in (default, short.engine))
    assert 0 < np.abs(one - other).max() < 0.1 * np.abs(one).max()
    assert pickle.loads(pickle.dumps(short)).engine.name == "openvino-bf16"


def test_a_cpu_without_bfloat16_is_told(monkeypatch):
    monkeypatch.setattr(openvino_bf16_engine, "has_bf16", lambda: False)
    with pytest.raises(SettingsError, match="does not calculate with bfloat16"):
        load_model("default", engine="openvino-bf16", device="cpu")
    assert load_model("default", device="cpu", threads=1).engine.name == "openvino"
