from __future__ import annotations

import numpy as np
import pytest

from fcfi_core.checkpoints import write_checkpoint
from fcfi_core.engines.threads import container_share
from fcfi_core.errors import SettingsError
from fcfi_core.evaluation.ablations import ABLATIONS, WithoutFeedback, ablated, bypassed
from fcfi_core.model import Model, load_model
from fcfi_core.networks import registry
from fcfi_core.networks.feedback_correction import FeedbackCorrection, with_correction
from fcfi_core.predictor import Predictor
from fcfi_core.protocol import Protocol

CLICKS = [(70, 40), (20, 10, False), (75, 45)]


def masks_differ(one: Predictor, other: Predictor, photo: np.ndarray) -> bool:
    first, second = (predictor.segment(photo, CLICKS).probability for predictor in (one, other))
    return bool((first != second).any())


@pytest.mark.parametrize(
    "parts", [{"correction": True}, {"fusion": True}, {"correction": True, "fusion": True}]
)
def test_bypassing_a_part_changes_the_answer(tiny_network, tiny_model, photo, parts) -> None:
    model = Model.from_network(
        bypassed(tiny_network(), **parts), protocol=tiny_model.protocol, device="cpu", threads=1
    )
    assert masks_differ(Predictor(tiny_model), Predictor(model), photo)


def test_bypassing_leaves_the_original_alone(tiny_network) -> None:
    network = tiny_network()
    before = [type(module) for module in network.modules()]
    after = [type(module) for module in bypassed(network, correction=True, fusion=True).modules()]
    assert [type(module) for module in network.modules()] == before
    assert sum(one is not other for one, other in zip(before, after, strict=True)) == 2


def test_a_correction_of_another_kind_is_bypassed_too(tiny_network) -> None:
    class Other(FeedbackCorrection):
        pass

    network = with_correction(tiny_network(), Other)
    kinds = {type(module) for module in bypassed(network, correction=True).modules()}
    assert Other in {type(module) for module in network.modules()}
    assert Other not in kinds


def test_without_feedback_only_clicks_matter(tiny_model, photo) -> None:
    from dataclasses import replace

    protocol = replace(tiny_model.protocol, target_size=None)
    blind = Predictor(replace(tiny_model, engine=WithoutFeedback(tiny_model.engine)), protocol=protocol)
    truth = np.zeros(photo.shape[:2], np.bool_)
    truth[20:60, 50:90] = True
    with_prior = blind.segment(photo, CLICKS, prior_mask=truth).probability
    assert (with_prior == blind.segment(photo, CLICKS).probability).all()
    assert masks_differ(blind, Predictor(tiny_model, protocol=protocol), photo)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "random.safetensors"
    network = registry.build("mobilenetv2")
    protocol = Protocol(first_side=64, target_size=64).to_dict()
    write_checkpoint(
        path, network.state_dict(), {"variant": "mobilenetv2", "arguments": {}, "protocol": protocol}
    )
    return path


@pytest.mark.parametrize("name", ABLATIONS)
def test_as_many_threads_as_the_whole(weights, name) -> None:
    threads = container_share() + 1
    predictor = Predictor(load_model(weights, device="cpu", threads=threads))
    assert ablated(predictor, weights, name).model.engine.threads == threads


def test_by_name(weights, photo) -> None:
    predictor = Predictor(load_model(weights, device="cpu", threads=1))
    for name in (*ABLATIONS, "no-feedback+no-zoom"):
        other = ablated(predictor, weights, name)
        assert other.segment(photo, CLICKS).mask.shape == photo.shape[:2]
        assert other.protocol.flip == (name == "flip")
        assert (other.protocol.target_size is None) == ("no-zoom" in name)
    with pytest.raises(SettingsError, match="'no-everything'"):
        ablated(predictor, weights, "flip+no-everything")
