"""``fcfi doctor``: what is installed, which device and weights, whether a real click works.

Adapters add doctors of their own as ``doctors`` of their plugin: ``fcfi doctor PLATFORM`` runs a module's
``examine(arguments)``, which yields findings like the one here.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import math
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fcfi_core import allowance, plugins, settings
from fcfi_core.cli._common import add_model_arguments, core_settings, print_json
from fcfi_core.errors import FcfiError, SettingsError, plain
from fcfi_core.outputs import say

HELP = "tell what is installed and whether a real click works; exit code 1 if something is wrong"

_SERVING = ("starlette", "uvicorn", "prometheus_client", "msgspec", "python_multipart")
_PACKAGES = ("torch", "openvino", "numpy", "opencv-python-headless", "pillow", "safetensors")


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        topic: what was looked at.
        text: what was found.
        good: False if it keeps something from working.
        absent: what an extra would bring, and nobody asked for: no fault, but it does not work either.
    """

    topic: str
    text: str
    good: bool = True
    absent: bool = False

    @property
    def mark(self) -> str:
        """What stands before the line."""
        return "--" if self.absent else "ok" if self.good else "BAD"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi doctor``."""
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    add_model_arguments(parser)
    parser.set_defaults(examine=examine)
    platforms = parser.add_subparsers(title="platforms, each looked at by its own doctor", metavar="PLATFORM")
    for part in plugins.parts("doctors"):
        try:
            doctor = part.load()
        except plugins.PluginError:
            continue  # its line in `fcfi doctor` says what is missing
        platform_parser = platforms.add_parser(part.name, help=doctor.HELP, description=doctor.HELP)
        platform_parser.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print the findings as JSON"
        )
        doctor.add_arguments(platform_parser)
        platform_parser.set_defaults(examine=doctor.examine)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; return 1 if one of them is bad."""
    findings = list(arguments.examine(arguments))
    good = all(finding.good for finding in findings)
    if arguments.json:
        print_json({"good": good, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            first, *others = finding.text.splitlines() or [""]
            say(f"{finding.mark:<3}  {plain(finding.topic):<28} {first}", *others)
        say(_conclusion(findings))
    return 0 if good else 1


def _conclusion(findings: Sequence[Finding]) -> str:
    if not all(finding.good for finding in findings):
        return "Something is wrong; see the lines marked BAD."
    if any(finding.absent for finding in findings):
        return "What is installed works; the lines marked -- say what is not installed."
    return "Everything works."


def examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found, step by step: a step that fails does not keep the next from being tried."""
    yield Finding("python", f"{platform.python_version()} at {sys.executable}")
    yield from _packages()
    yield from _extensions()
    yield from _variables()
    yield from _processor()
    yield from _model(arguments)


def _packages() -> Iterator[Finding]:
    for name in ("fcfi", *_PACKAGES):
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            # Another build of the same library (opencv-python, a distribution's package) serves as well.
            yield Finding(name, "not installed under this name")


def _extensions() -> Iterator[Finding]:
    """Import every part of every plugin, and what `fcfi serve` needs."""
    for kind in plugins.KINDS:
        for part in plugins.parts(kind):
            topic = f"plugin {part.name}: {kind}"
            try:
                part.load()
                yield Finding(topic, "ready")
            except plugins.PluginError as error:
                absent = isinstance(error.__cause__, ModuleNotFoundError)
                yield Finding(topic, str(error), good=absent, absent=absent)
    for complaint in plugins.complaints():
        yield Finding("plugin", complaint, good=False)
    for module in _SERVING:
        try:
            importlib.import_module(module)
        except ImportError as error:
            yield Finding("fcfi serve", plugins.missing(error, "`fcfi serve`"), absent=True)
            return
    yield Finding("fcfi serve", "ready")


def _variables() -> Iterator[Finding]:
    for variable in settings.declared():
        try:
            value = settings.read([variable], os.environ)[variable.name]
        except SettingsError as error:
            yield Finding(variable.name, str(error), good=False)
            continue
        shown = "(hidden)" if variable.secret and value else "auto" if value is None else repr(value)
        origin = "set" if os.environ.get(variable.name) else "default"
        yield Finding(variable.name, f"{shown} ({origin}): {variable.help}")


def _processor() -> Iterator[Finding]:
    from fcfi_core.engines.threads import container_share, cpu_quota

    quota = cpu_quota()
    limit = "no quota" if quota is None else f"quota {quota:g}"
    yield Finding("cpu", f"{os.cpu_count()} logical cores, {limit}, {container_share()} threads by default")
    with suppress(SettingsError):  # its own line says what is wrong with the variable
        megabytes = settings.read(settings.CORE_VARIABLES, os.environ)["FCFI_MEMORY_MEGABYTES"]
        aside = [allowance.capacity_of(megabytes, most) for most in (math.inf, allowance.MOST_OF_A_SERVER)]
        here, served = (f"{size / allowance.MEGABYTE:,.0f} MB" for size in aside)
        yield Finding("memory", f"{here} set aside for reading and drawing, in servers {served}")
    waiting = os.environ.get("OMP_WAIT_POLICY", "")
    yield Finding("openmp", f"OMP_WAIT_POLICY is {waiting or 'not set'}")
    if importlib.util.find_spec("torch") is None:
        yield Finding("cuda", "torch is not installed (the CPU is used)")
        return
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    yield Finding("cuda", ", ".join(names) or "no device (the CPU is used)")


def _model(arguments: argparse.Namespace) -> Iterator[Finding]:
    steps: list[tuple[str, Callable[[Any], tuple[Any, str]]]] = [
        ("model", lambda _: _load(arguments)),
        ("a click", _click),
        ("the same click again", _click_again),
    ]
    found: Any = None
    for topic, step in steps:
        try:
            found, text = step(found)
        except FcfiError as error:
            yield Finding(topic, str(error), good=False)
            return
        yield Finding(topic, text)


def _load(arguments: argparse.Namespace) -> tuple[Any, str]:
    from fcfi_core.predictor import Predictor

    predictor = Predictor.from_settings(core_settings(arguments))
    model = predictor.model
    engine = f"{model.engine.name} {model.engine.version}, {model.engine.device}"
    text = f"{model.name} ({model.variant}, version {model.version}) on {engine}"
    predictor.warm_up()
    return predictor, text


def _click(predictor: Any) -> tuple[Any, str]:
    """Click on a bright disk on a dark ground, in a new session."""
    import numpy as np

    rows, columns = np.mgrid[:480, :640]
    disk = (rows - 220) ** 2 + (columns - 330) ** 2 < 110**2
    pixels = np.where(disk[..., None], (225, 190, 60), (40, 60, 80)).astype(np.uint8)
    result = predictor.segment(pixels, [(330, 220)])
    overlap = (result.mask & disk).sum() / (result.mask | disk).sum()
    if not result.mask[220, 330]:
        raise FcfiError(
            "the clicked pixel is not in the mask of a plain disk: the weights do not work; "
            "try another --model."
        )
    parts = ", ".join(f"{name} {value:.0f}" for name, value in result.timings.items() if name != "total")
    text = f"{result.timings['total']:.0f} ms ({parts}); mask and disk overlap by {100 * overlap:.0f} %"
    return (predictor, pixels, result), text


def _click_again(found: Any) -> tuple[Any, str]:
    predictor, pixels, first = found
    predictor.memo.clear()
    again = predictor.segment(pixels, [(330, 220)])
    if (again.probability != first.probability).any():
        raise FcfiError("the same click gave another mask; this device does not compute reproducibly.")
    return None, "bit-identical"
