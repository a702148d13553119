"""Environment variables, declared once and read once.

A package declares its variables as a tuple of :class:`Variable` and reads them with :func:`read` at
process start; nothing else looks at ``os.environ``. ``fcfi doctor`` prints every declared variable
with its present value: packages announce theirs through the entry-point group ``fcfi.settings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from fcfi_core.errors import SettingsError
from fcfi_core.masks.finish import Finish


def flag(text: str) -> bool:
    """Return the truth value written in ``text`` (1/0, true/false, yes/no, on/off)."""
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("give 1 or 0")


def area(text: str) -> float | None:
    """Return the number of pixels written in ``text``; None for ``auto``."""
    if text.strip().lower() == "auto":
        return None
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("give auto, or a number of pixels from 0")
    return number


@dataclass(frozen=True)
class Variable:
    """One environment variable.

    Args:
        name: starts with ``FCFI_``, or is a name that the platform itself defines.
        default: the value (already parsed) when the variable is unset or empty.
        help: one sentence for ``fcfi doctor`` and the documentation.
        parse: turns the text into the value; raises ValueError with a hint for a bad one.
        secret: never print the value.
    """

    name: str
    default: Any
    help: str
    parse: Callable[[str], Any] = str
    secret: bool = False


CORE_VARIABLES: tuple[Variable, ...] = (
    Variable(
        "FCFI_MODEL",
        "chosen",
        "Name of a catalogued model, path of a .safetensors file, or chosen: what `fcfi models use` named.",
    ),
    Variable("FCFI_DEVICE", "auto", "auto, cpu, cuda or cuda:N."),
    Variable("FCFI_THREADS", 0, "CPU threads of the network; 0 follows the container's share.", int),
    Variable("FCFI_MAX_MEGAPIXELS", 200.0, "Largest image accepted, in millions of pixels.", float),
    Variable("FCFI_MEMO_MEGABYTES", 48.0, "Memory for remembered click prefixes.", float),
    Variable("FCFI_MEMO_SECONDS", 900.0, "How long an unused click prefix is remembered.", float),
    Variable(
        "FCFI_MIN_AREA",
        None,
        "Mask parts of fewer pixels without a positive click are dropped; 0 keeps all; auto: a thousandth of "
        "the mask, at least 4.",
        area,
    ),
    Variable(
        "FCFI_MAX_HOLE",
        None,
        "Holes of at most so many pixels without a negative click are filled; 0 keeps all; auto likewise.",
        area,
    ),
)


def read(variables: Sequence[Variable], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return ``{name: value}`` of ``variables`` from ``environment`` (usually ``os.environ``).

    Raises:
        SettingsError: naming the variable, its value and what is expected.
    """
    values: dict[str, Any] = {}
    for variable in variables:
        text = environment.get(variable.name, "")
        try:
            values[variable.name] = variable.parse(text) if text else variable.default
        except ValueError as error:
            shown = "(hidden)" if variable.secret else repr(text)
            raise SettingsError(f"{variable.name} is {shown}: {error}. {variable.help}") from None
    return values


def finish_of(values: Mapping[str, Any], prefix: str = "FCFI_") -> Finish:
    """Return how masks are finished, by ``{prefix}MIN_AREA`` and ``{prefix}MAX_HOLE``.

    Args:
        values: from :func:`read`, with the core's variables.
        prefix: of the variables of a platform; where these are empty, the core's count.
    """

    def value(name: str) -> float | None:
        own = values[prefix + name]
        chosen: float | None = values["FCFI_" + name] if own == "" else own
        return chosen

    return Finish(value("MIN_AREA"), value("MAX_HOLE"))


def declared() -> list[Variable]:
    """Return the variables of every installed package that announces some."""
    found = list(CORE_VARIABLES)
    for entry_point in sorted(entry_points(group="fcfi.settings"), key=lambda entry: entry.name):
        found.extend(entry_point.load())
    return found
