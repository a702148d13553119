"""FCFIModel under the two shapes of the label-studio-ml framework, without that package."""

from __future__ import annotations

import importlib
import sys
import types

import pytest

from fcfi_core.predictor import Predictor


class Newer:
    """The 2.x base class, as far as a model sees it: one instance per request."""

    def __init__(self, project_id=None, label_config=None):
        self.kept = {}
        self.label_config = label_config
        self.setup()

    def set(self, key, value):
        self.kept[key] = value


class Older:
    """The 1.0.9 base class: one instance per process."""

    def __init__(self, label_config=None, train_output=None, **kwargs):
        self.label_config = label_config


@pytest.fixture
def framework(monkeypatch, predictor, request):
    package, model = types.ModuleType("label_studio_ml"), types.ModuleType("label_studio_ml.model")
    model.LabelStudioMLBase = request.param
    monkeypatch.setitem(sys.modules, "label_studio_ml", package)
    monkeypatch.setitem(sys.modules, "label_studio_ml.model", model)
    monkeypatch.setattr(Predictor, "from_settings", lambda values: predictor)
    yield importlib.import_module("label_studio_backend.framework")
    del sys.modules["label_studio_backend.framework"]


@pytest.mark.parametrize("framework", [Newer, Older], indirect=True)
def test_clicks_and_batches(framework, body, click, config):
    asked = body([click(29, 26)])
    model = framework.FCFIModel(label_config=config)
    (entry,) = model.predict(asked["tasks"], context=asked["params"]["context"], login=None, password=None)
    assert entry["result"][0]["type"] == "brushlabels"
    assert model.predict(asked["tasks"], context=None) == []
    assert model.predict(asked["tasks"], context={"result": []}) == [{**entry, "score": 0.0, "result": []}]
    asked["tasks"][0]["data"] = {"image": "file:///etc/passwd"}
    assert model.predict(asked["tasks"], context=asked["params"]["context"])[0]["result"] == []


@pytest.mark.parametrize("framework", [Newer], indirect=True)
def test_the_framework_learns_the_version(framework, config):
    assert framework.FCFIModel(label_config=config).kept["model_version"].startswith("fcfi-")


def test_without_the_package_only_asking_for_the_class_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "label_studio_ml", None)
    sys.modules.pop("label_studio_backend.framework", None)
    package = importlib.import_module("label_studio_backend")
    with pytest.raises(ImportError, match="fcfi serve"):
        package.FCFIModel  # noqa: B018
    with pytest.raises(AttributeError):
        package.other  # noqa: B018
