from __future__ import annotations

import pytest
import torch

from fcfi_core.checkpoints.files import read_checkpoint, write_checkpoint
from fcfi_core.errors import SettingsError, WeightsError
from fcfi_core.model import load_model
from fcfi_core.networks.mobilenet import MobileNetFeedbackNetwork
from fcfi_core.predictor import Predictor
from fcfi_core.rating import FEATURES
from fcfi_core.training import rating


@pytest.fixture
def configuration(photo_folder, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(
        f'out = "unused"\nsteps = 1\ndevelopment_share = 0.5\n[[sources]]\npath = "{photo_folder}"\n'
    )
    return path


def weights(path, **arguments):
    torch.manual_seed(0)
    arguments = {"width": 32, "decoder_width": 16, "middle_channels": 8, **arguments}
    network = MobileNetFeedbackNetwork(**arguments)
    header = {"variant": "mobilenetv2", "arguments": arguments, "model_card": {"version": "7"}}
    write_checkpoint(path, network.state_dict(), header)
    return path


def test_the_command_adds_a_rating_and_changes_nothing_else(configuration, photo_folder, tmp_path, capsys):
    given, out = weights(tmp_path / "a.safetensors", other_answers=2), tmp_path / "b.safetensors"
    rating.main([str(configuration), str(given), str(out), "--longest-side", "64"])
    before, after = read_checkpoint(given), read_checkpoint(out)
    assert {**after.header, "rating": None} == {**before.header, "rating": None}
    assert all(torch.equal(after.state[name], tensor) for name, tensor in before.state.items())
    assert "of the likeliest" in capsys.readouterr().out
    model = load_model(out, device="cpu", threads=1)
    assert model.rating.count == 3
    photo = next(path for path in photo_folder.rglob("*.png"))
    result = Predictor(model).segment(photo, [(20, 20)])
    assert 0 <= result.rated <= 1


def test_what_is_rated_looks_like_something_and_is_worth_something(configuration, tmp_path):
    from fcfi_core.training.configuration_file import load_configuration
    from fcfi_core.training.development import development_samples
    from fcfi_core.training.run import read_development_photos

    path = weights(tmp_path / "a.safetensors", other_answers=2)
    predictor = Predictor(load_model(path, device="cpu", threads=1))
    samples = development_samples(read_development_photos(load_configuration(configuration)), 5)
    descriptions, overlaps = rating.rated(predictor, samples)
    assert descriptions.shape == (len(samples), 3, len(FEATURES) + 3)
    assert overlaps.shape == (len(samples), 3)
    assert ((overlaps >= 0) & (overlaps <= 1)).all()


def test_weights_with_one_answer_are_refused_before_photos_are_read(tmp_path):
    configuration, out = tmp_path / "run.toml", tmp_path / "b.safetensors"
    configuration.write_text('out = "unused"\nsteps = 1\n[[sources]]\npath = "nowhere"\n')
    given = weights(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="there is nothing to rate"):
        rating.main([str(configuration), str(given), str(out)])
    with pytest.raises(SettingsError, match="nothing of yours is overwritten"):
        rating.main([str(configuration), str(given), str(given)])
