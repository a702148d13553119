"""The torch engine: fast equals plain, CPU equals GPU, wrong devices are named."""

from __future__ import annotations

import statistics
import threading
import time

import numpy as np
import pytest
import torch

from fcfi_core.engines.torch_engine import TorchEngine
from fcfi_core.errors import SettingsError
from fcfi_core.model import Model
from fcfi_core.networks import registry
from fcfi_core.networks.plain_correction import with_plain_correction
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import parity

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
CLICKS = [(70, 40), (30, 20, False), (90, 60), (64, 44)]


@pytest.fixture(autouse=True)
def _threads():
    """Leave torch's thread count, which an engine sets for the whole process, as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def probabilities(network, photo, protocol, **arguments):
    model = Model.from_network(network, protocol=protocol, **arguments)
    return Predictor(model).segment(photo, CLICKS).probability


def test_fast_and_plain_agree(tiny_network, photo):
    network = tiny_network()
    for norm in (module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.3, 0.3)
        norm.running_var.uniform_(0.5, 2)
    protocol = parity(64)
    fast = probabilities(network, photo, protocol, device="cpu", threads=1)
    plain = probabilities(
        with_plain_correction(network), photo, protocol, device="cpu", threads=1, fast=False
    )
    assert np.abs(fast - plain).max() < 1e-4


def test_the_callers_network_stays_as_it_is(tiny_network):
    network = tiny_network().train()
    TorchEngine(network, "cpu", 1)
    assert network.training
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("device", ["tpu", "mps:x", "cuda:99", "meta"])
def test_a_device_that_is_not_here_is_named(tiny_network, device):
    with pytest.raises(SettingsError, match=device):
        TorchEngine(tiny_network(), device)


def test_every_pass_runs_in_one_thread_with_the_number_of_threads_asked_for(tiny_network):
    network, seen = tiny_network(), []
    engine = TorchEngine(network, "cpu", 1)
    encode = engine._network.encode

    def watched(image):
        seen.append((threading.get_ident(), torch.get_num_threads()))
        return encode(image)

    engine._network.encode = watched

    def work():
        torch.set_num_threads(2)
        engine.encode(np.zeros((1, 16, 16, 3), np.float32))

    for thread in [threading.Thread(target=work) for _ in range(3)]:
        thread.start()
        thread.join()
    work()
    assert len(seen) == 4
    assert len(set(seen)) == 1
    assert seen[0][1] == 1
    assert seen[0][0] != threading.get_ident()


def test_what_a_pass_raises_reaches_the_caller(tiny_network):
    with pytest.raises(RuntimeError):
        TorchEngine(tiny_network(), "cpu", 1).encode(np.zeros((16, 16), np.float32))


@pytest.mark.gpu
@GPU
@pytest.mark.parametrize("variant", ["mobilenetv2", "hrnet18"])
def test_cpu_and_gpu_agree(variant, photo):
    """Largest difference of probabilities 0.01 and at most 1 pixel in 1000 of the mask, over four clicks."""
    torch.manual_seed(0)
    network = registry.build(variant)
    protocol = parity(192, flip=False)
    on_cpu = probabilities(network, photo, protocol, device="cpu")
    on_gpu = probabilities(network, photo, protocol, device="cuda")
    assert np.abs(on_cpu - on_gpu).max() < 0.01
    assert ((on_cpu > 0.49) != (on_gpu > 0.49)).mean() < 0.001


@pytest.mark.gpu
@GPU
def test_the_gpu_repeats_itself_to_the_bit(photo):
    torch.manual_seed(0)
    model = Model.from_network(registry.build("mobilenetv2"), device="cuda")
    first, second = (Predictor(model).segment(photo, CLICKS).probability for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.gpu
@GPU
def test_a_click_on_the_gpu_takes_less_than_a_tenth_of_a_second(photo):
    torch.manual_seed(0)
    predictor = Predictor(Model.from_network(registry.build("mobilenetv2"), device="cuda"))
    predictor.warm_up()
    times = []
    for column in range(20, 100, 8):
        start = time.perf_counter()
        predictor.segment(photo, [(column, 40)])
        times.append(time.perf_counter() - start)
    print(f"median {1000 * statistics.median(times):.1f} ms per first click")
    assert statistics.median(times) < 0.1
