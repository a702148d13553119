"""Official ``.pth`` files to ours: nothing in them is executed, and everything unexpected is refused.

An official file holds ``{"state_dict": ..., "config": {"class": ..., "params": ...}}``. The key names stay
as they are. The architecture is derived from the shapes of the tensors and must agree with the
configuration; what shapes do not tell (the size of the correction window, for example) is taken from
the configuration.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fcfi_core.checkpoints.files import Checkpoint, require_layout
from fcfi_core.errors import WeightsError
from fcfi_core.networks.base import InteractiveNetwork
from fcfi_core.networks.deeplab import DeepLabFeedbackNetwork
from fcfi_core.networks.hrnet import HRNetFeedbackNetwork
from fcfi_core.networks.registry import VARIANTS, build

HRNET = "isegm.model.is_hrnet_model.HRNetModel"
DEEPLAB = "isegm.model.is_deeplab_model.DeeplabModel"
_NETWORKS: Mapping[str, type[InteractiveNetwork]] = {
    HRNET: HRNetFeedbackNetwork,
    DEEPLAB: DeepLabFeedbackNetwork,
}
_BATCH_NORM = "torch.nn.modules.batchnorm.BatchNorm2d"
_EXTRACTOR = "feature_extractor."
_RESNET_DEPTHS = {6: 50, 23: 101, 36: 152}  # blocks in layer3


@dataclass(frozen=True)
class _Argument:
    """An official parameter that becomes one of our constructor arguments."""

    name: str
    accepts: Callable[[Any], bool]
    translate: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class _Fixed:
    """An official parameter that must have one of these values; others are architectures we lack."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class _Ignored:
    """An official parameter without influence on the network."""


def _is_integer(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and value > 0


def _is_share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1


def _is_flag(value: Any) -> bool:
    return type(value) is bool


_Rule = _Argument | _Fixed | _Ignored

_COMMON: Mapping[str, _Rule] = {
    "mid_ch": _Argument("middle_channels", _is_integer),
    "update_num": _Argument("update_count", _is_integer),
    "expansion_ratio": _Argument("expansion_ratio", _is_number),
    "norm_radius": _Argument("disk_radius", _is_number),
    "use_leaky_relu": _Argument("leaky_relu", _is_flag),
    "use_rgb_conv": _Fixed((False,)),
    "conv_extend": _Fixed((False,)),
    "clicks_groups": _Fixed((None,)),
    "binary_prev_mask": _Fixed((False,)),
    "with_prev_mask": _Fixed((True,)),
    "use_disks": _Fixed((True,)),
    "cpu_dist_maps": _Fixed((False,)),
    "norm_layer": _Fixed((_BATCH_NORM,)),
    "norm_mean_std": _Fixed((((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),)),
    "backbone_lr_mult": _Ignored(),
}

_RULES: Mapping[str, Mapping[str, _Rule]] = {
    HRNET: {
        **_COMMON,
        "width": _Argument("width", _is_integer),
        "ocr_width": _Argument("ocr_width", _is_integer),
        "small": _Argument("small", _is_flag),
        "with_aux_output": _Argument("auxiliary_output", _is_flag),
        "num_classes": _Fixed((1,)),
    },
    DEEPLAB: {
        **_COMMON,
        "backbone": _Argument(
            "depth",
            lambda value: value in ("resnet50", "resnet101", "resnet152"),
            lambda value: int(value[6:]),
        ),
        "deeplab_ch": _Argument("decoder_channels", _is_integer),
        "aspp_dropout": _Argument("aspp_dropout", _is_share),
        "with_aux_output": _Fixed((False,)),
        "backbone_norm_layer": _Fixed((None, _BATCH_NORM)),
    },
}


def arguments_of(class_name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return our constructor arguments for the parameters of an official class.

    Args:
        class_name: dotted name, :data:`HRNET` or :data:`DEEPLAB`.
        parameters: official names and plain values.

    Raises:
        WeightsError: for another class, an unknown parameter, or a value we have no network for.
    """
    rules = _rules(class_name)
    arguments: dict[str, Any] = {}
    for name, value in parameters.items():
        rule = rules.get(name) if isinstance(name, str) else None
        if rule is None:
            raise WeightsError(
                f"the file's configuration has the parameter {name!r}, which official FCFI models do not "
                "have; it comes from other code and cannot be converted."
            )
        value = _plain(value)
        if isinstance(rule, _Fixed):
            # Types must agree too: in Python 0 == False.
            if not any(value == allowed and type(value) is type(allowed) for allowed in rule.values):
                raise WeightsError(
                    f"the file's parameter {name!r} is {value!r}; only {rule.values[0]!r} is supported."
                )
        elif isinstance(rule, _Argument):
            if not rule.accepts(value):
                raise WeightsError(f"the file's parameter {name!r} is {value!r}, which is not supported.")
            arguments[rule.name] = rule.translate(value)
    return arguments


def _rules(class_name: Any) -> Mapping[str, _Rule]:
    """Return what the parameters of an official class mean; raises WeightsError for another class."""
    rules = _RULES.get(class_name) if isinstance(class_name, str) else None
    if rules is None:
        raise WeightsError(
            f"the file holds a {class_name!r}; only {HRNET!r} and {DEEPLAB!r} of the official FCFI code "
            "can be converted."
        )
    return rules


def _plain(value: Any) -> Any:
    """Return ``value`` with lists turned into tuples, so that both spellings compare equal."""
    return tuple(_plain(item) for item in value) if isinstance(value, list | tuple) else value


def variant_of(class_name: str, arguments: Mapping[str, Any]) -> str:
    """Return the name of the variant that these arguments (of :func:`arguments_of`) describe.

    Raises:
        WeightsError: if there is none.
    """
    shape = ("width", "small") if class_name == HRNET else ("depth",)
    wanted = {name: arguments.get(name, False) for name in shape}
    for name, description in VARIANTS.items():
        if description.network is _NETWORKS[class_name] and all(
            description.argument(argument) == value for argument, value in wanted.items()
        ):
            return name
    raise WeightsError(f"the file holds a network of {wanted}; the variants known are {', '.join(VARIANTS)}.")


def read_official(path: str | Path) -> Checkpoint:
    """Return the official checkpoint in the file ``path`` in our terms.

    Raises:
        WeightsError: for anything but a complete, undamaged, single-stage FCFI model.
    """
    path = Path(path)
    content = _load(path)
    if isinstance(content, list | tuple):
        raise WeightsError(
            f"{str(path)!r} holds a list of {len(content)} models (stages); convert a file with one."
        )
    if not isinstance(content, Mapping) or not {"state_dict", "config"} <= content.keys():
        raise WeightsError(
            f"{str(path)!r} lacks 'state_dict' or 'config'; give a checkpoint of the official training."
        )
    state, (class_name, parameters) = _state(content["state_dict"]), _configuration(content["config"])
    _rules(class_name)
    if not any(key.startswith(f"{_EXTRACTOR}correction_module.") for key in state):
        raise WeightsError(
            f"{str(path)!r} has no feedback correction module: it is a plain RITM model, not an FCFI one."
        )
    if _family(state) != class_name:
        raise WeightsError(
            f"the file's configuration names {class_name!r}, but its tensors belong to another family."
        )
    configured, derived = arguments_of(class_name, parameters), _derived(class_name, state)
    for name, value in derived.items():
        if configured.get(name, value) != value:
            raise WeightsError(
                f"the file's configuration says {name} = {configured[name]!r}, but its tensors have "
                f"{value!r}; configuration and weights do not belong together."
            )
    arguments = {**configured, **derived}
    variant = variant_of(class_name, arguments)
    with torch.device("meta"):
        expected = build(variant, **arguments).state_dict()
    require_layout(state, expected, variant)
    header = {"variant": variant, "arguments": arguments, "protocol": {}, "model_card": {"source": path.name}}
    return Checkpoint(variant, arguments, {}, state, header)


def _load(path: Path) -> Any:
    """Return the content of a torch file, restricted to tensors and plain values."""
    if not path.is_file():
        raise WeightsError(f"there is no file {str(path)!r}; check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about old formats before it refuses them
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever a damaged or hostile file provokes
        # Torch's own message advises to switch the restriction off; only the offending name is worth telling.
        wanted = re.search(r"[Uu]nsupported (?:global: )?(?:GLOBAL|class) (\S+)", str(error))
        if wanted:
            raise WeightsError(
                f"{str(path)!r} wants to run {wanted.group(1)!r}; only tensors and plain values are loaded, "
                "so get the file from another source."
            ) from None
        raise WeightsError(
            f"{str(path)!r} cannot be read as weights; it is damaged, or no file of tensors and plain values."
        ) from None


def _state(state: Any) -> dict[str, Tensor]:
    """Return the checked tensors, contiguous, floating-point ones as float32."""
    if not isinstance(state, Mapping) or not state:
        raise WeightsError("the file's 'state_dict' is no mapping of names to tensors.")
    result = {}
    for key, tensor in state.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
            raise WeightsError(
                f"the file's 'state_dict' has the entry {key!r}, which is no named dense tensor."
            )
        if tensor.is_floating_point():
            tensor = tensor.float()
            if not bool(torch.isfinite(tensor).all()):
                raise WeightsError(
                    f"the file's weight {key!r} has values that are not finite; it is damaged."
                )
        result[key] = tensor.contiguous()
    return result


def _configuration(configuration: Any) -> tuple[Any, dict[Any, Any]]:
    """Return the class name and ``{parameter: value}`` of an official configuration."""
    try:
        values = {name: entry["value"] for name, entry in configuration["params"].items()}
        return configuration["class"], values
    except (TypeError, KeyError, AttributeError):
        raise WeightsError("the file's 'config' is not of the official form (class and params).") from None


def _family(state: Mapping[str, Tensor]) -> str | None:
    """Return the official class that the key names belong to."""
    if any(key.startswith(f"{_EXTRACTOR}backbone.") for key in state):
        return DEEPLAB
    return HRNET if any(key.startswith(f"{_EXTRACTOR}stage4.") for key in state) else None


def _derived(class_name: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the constructor arguments that the shapes tell."""

    def rows(key: str) -> int:
        tensor = state.get(_EXTRACTOR + key)
        if tensor is None or tensor.dim() == 0:
            raise WeightsError(f"the file lacks the weight {_EXTRACTOR + key!r}; it is incomplete.")
        return tensor.shape[0]

    middle = {"middle_channels": rows("correction_module.info_encoder.0.conv.weight")}
    if class_name == HRNET:
        return {
            **middle,
            "width": rows("transition1.0.0.weight"),
            "small": f"{_EXTRACTOR}layer1.2.conv1.weight" not in state,
            "ocr_width": rows("ocr_distri_head.object_context_block.f_pixel.0.weight"),
        }
    prefix = f"{_EXTRACTOR}backbone.layer3."
    blocks = len({key[len(prefix) :].partition(".")[0] for key in state if key.startswith(prefix)})
    if blocks not in _RESNET_DEPTHS:
        raise WeightsError(f"the file holds a ResNet with {blocks} blocks in layer3; no variant has so many.")
    return {**middle, "depth": _RESNET_DEPTHS[blocks], "decoder_channels": rows("aspp.project.0.weight")}
