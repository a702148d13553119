"""Environment variables, declared once and read once.

A package declares its variables as a tuple of :class:`Variable` and reads them with :func:`read` at
process start; nothing else looks at ``os.environ``. ``fcfi doctor`` prints every declared variable
with its present value: packages announce theirs as ``settings`` of their plugin. A megabyte has
1,000,000 bytes, everywhere.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fcfi_core import plugins
from fcfi_core.errors import SettingsError, without_passwords
from fcfi_core.masks.finish import Finish

SHORTEST_TOKEN = 16
"""Letters of a token."""


def flag(text: str) -> bool:
    """Return the truth value written in ``text`` (1/0, true/false, yes/no, on/off)."""
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("give 1 or 0")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("give a number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("give a whole number") from None


def positive(text: str) -> float:
    """Return the number written in ``text``, which must be above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise ValueError("give a number above 0")
    return number


def not_negative(text: str) -> float:
    """Return the number written in ``text``, which must be 0 or more."""
    number = _number(text)
    if not 0 <= number < math.inf:
        raise ValueError("give a number of at least 0")
    return number


def count(text: str) -> int:
    """Return the whole number written in ``text``, which must be 1 or more."""
    number = _whole(text)
    if number < 1:
        raise ValueError("give a whole number of at least 1")
    return number


def natural(text: str) -> int:
    """Return the whole number written in ``text``, which must be 0 or more."""
    number = _whole(text)
    if number < 0:
        raise ValueError("give a whole number of at least 0")
    return number


def port(text: str) -> int:
    """Return the number of a port written in ``text``, 1 to 65535."""
    number = _whole(text)
    if not 0 < number < 65536:
        raise ValueError("give a whole number from 1 to 65535")
    return number


def words(text: str) -> tuple[str, ...]:
    """Return the words between the commas of ``text``, in lower case."""
    return tuple(word.strip().lower() for word in text.split(",") if word.strip())


def tokens(text: str) -> tuple[str, ...]:
    """Return the words between the commas of ``text``: each long enough not to be guessed."""
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    for token in found:
        if len(token) < SHORTEST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError(
                f"give tokens of at least {SHORTEST_TOKEN} letters and digits, for example from "
                "`openssl rand -hex 24`"
            )
    return found


def hosts_and_networks(text: str) -> tuple[str, ...]:
    """Return the words of ``text``; those with a slash must be networks."""
    for word in words(text):
        if "/" in word:
            try:
                ipaddress.ip_network(word)
            except ValueError:
                raise ValueError(f"{word!r} is no network; write it like 10.0.0.0/8") from None
    return words(text)


def area(text: str) -> float | None:
    """Return the number of pixels written in ``text``; None for ``auto``."""
    if text.strip().lower() == "auto":
        return None
    number = _number(text)
    if not 0 <= number < float("inf"):
        raise ValueError("give auto, or a number of pixels from 0")
    return number


def choice(text: str) -> bool | None:
    """Return the truth value written in ``text``, see :func:`flag`; None for ``auto``."""
    return None if text.strip().lower() == "auto" else flag(text)


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
    Variable(
        "FCFI_ENGINE",
        "auto",
        "auto, openvino, openvino-bf16 (quicker, on CPUs with bfloat16) or torch; auto is OpenVINO on x86 "
        "CPUs where it is installed.",
    ),
    Variable("FCFI_THREADS", 0, "CPU threads of the network; 0 follows the container's share.", natural),
    Variable("FCFI_MAX_MEGAPIXELS", 200.0, "Largest image accepted, in millions of pixels.", positive),
    Variable("FCFI_MEMO_MEGABYTES", 48.0, "Memory for remembered click prefixes.", not_negative),
    Variable("FCFI_MEMO_SECONDS", 900.0, "How long an unused click prefix is remembered.", positive),
    Variable(
        "FCFI_MEMORY_MEGABYTES",
        0.0,
        "Memory for reading and drawing, all work of the process together; 0: half of what the machine or "
        "container has, in servers at most 3000. A 32nd of it may hold a data set's decoded masks.",
        not_negative,
    ),
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
    Variable(
        "FCFI_LOCAL_COLOURS",
        None,
        "Whether the photo's colours sharpen the edges of masks: 1, 0, or auto: as it suits the model.",
        choice,
    ),
    Variable(
        "FCFI_REFINE",
        None,
        "Whether one more pass in a finer frame makes each answer: 1, 0, or auto: as it suits the model.",
        choice,
    ),
    Variable(
        "FCFI_TRACE",
        None,
        "Whether thin structures are traced through large photos: 1, 0, or auto: as it suits the model.",
        choice,
    ),
    Variable(
        "FCFI_CLICK_LOG",
        "",
        "File to which finished objects' clicks, times and models are added, without pixels; empty: none.",
    ),
    Variable(
        "FCFI_CLICK_LOG_MEGABYTES", 64.0, "Room for the click log and its older half, FILE.1.", positive
    ),
)
"""What every command reads."""

SERVING_VARIABLES: tuple[Variable, ...] = (
    Variable("FCFI_HOST", "127.0.0.1", "Address to listen on; 0.0.0.0 for all."),
    Variable("FCFI_PORT", 9090, "Port to listen on.", port),
    Variable("BASIC_AUTH_USER", "", "User that whoever calls the server must send."),
    Variable("BASIC_AUTH_PASS", "", "Password that whoever calls the server must send.", secret=True),
    Variable(
        "FCFI_API_TOKENS",
        (),
        "Comma-separated tokens, one of which whoever calls /api/v1 must send as Authorization: Bearer.",
        tokens,
        secret=True,
    ),
    Variable(
        "FCFI_SERVED_HOSTS",
        (),
        "Comma-separated names under which browsers and platforms may call the server, beside addresses, "
        "localhost and names without a dot; * for any.",
        words,
    ),
    Variable(
        "FCFI_ALLOWED_HOSTS",
        (),
        "Comma-separated hosts and networks (10.0.0.0/8) whose private addresses images may come from.",
        hosts_and_networks,
    ),
    Variable(
        "FCFI_IMAGE_MEGABYTES",
        100.0,
        "Largest image file, or other answer of a platform, accepted.",
        positive,
    ),
    Variable("FCFI_IMAGE_SECONDS", 30.0, "Longest time to fetch an image.", positive),
    Variable(
        "FCFI_IMAGE_FRESH_SECONDS",
        60.0,
        "How long an image is used before asking whether it changed.",
        positive,
    ),
    Variable(
        "FCFI_IMAGE_CACHE_MEGABYTES", 640.0, "Memory for decoded images, of all doors together.", positive
    ),
    Variable("FCFI_WORKERS", 4, "Requests worked on at the same time.", count),
    Variable("FCFI_QUEUE", 64, "Requests waiting at most; further ones are answered 503.", count),
    Variable(
        "FCFI_PREDICT_SECONDS",
        80.0,
        "Longest time for an answer; platforms give up after some 100.",
        positive,
    ),
    Variable("FCFI_BODY_MEGABYTES", 64.0, "Largest request accepted.", positive),
    Variable("FCFI_BODY_SECONDS", 60.0, "Longest time to send a request.", positive),
    Variable("FCFI_HEADER_SECONDS", 10.0, "Longest time to send the head of a request.", positive),
    Variable("FCFI_CONNECTIONS", 512, "Connections open at the same time.", count),
)
"""What ``fcfi serve`` reads, for all of its doors."""


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
            shown = "(hidden)" if variable.secret else repr(without_passwords(text))
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
    """Return the variables of the core, of its server, and of every plugin."""
    found = [*CORE_VARIABLES, *SERVING_VARIABLES]
    for variables in plugins.loaded("settings"):
        found.extend(variable for variable in variables if variable not in found)
    return found
