"""What the plain API is sent, and what it answers: one class for each body.

The classes check what comes in, and the OpenAPI document is made of them, so neither can say anything else.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from fcfi_core.errors import PromptError
from fcfi_core.prompt import MOST_CLICKS, shown

FEWEST_POINTS = 4
"""Points that polygons may have: those of one rectangle."""

MOST_FRAMES = 100
"""Frames that one request may ask for."""

Form = Literal["png", "coco", "polygons"]

_RUN_LENGTHS = {
    "type": "object",
    "description": "A mask in COCO's run-length code.",
    "required": ["size", "counts"],
    "properties": {
        "size": {
            "type": "array",
            "items": {"type": "integer", "minimum": 1},
            "minItems": 2,
            "maxItems": 2,
            "description": "Height and width in pixels.",
        },
        "counts": {
            "description": "Compressed to text, or a list of lengths, columns first, beginning outside.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer", "minimum": 0}}],
        },
    },
    "examples": [{"size": [2, 2], "counts": "13"}],
}

_PROMPT = {
    "type": "object",
    "description": "What is asked of one object: clicks in the order they were made, a box around it, "
    "a mask to correct; at least one of them.",
    "properties": {
        "clicks": {
            "type": ["array", "null"],
            "maxItems": MOST_CLICKS,
            "items": {
                "type": "object",
                "required": ["x", "y"],
                "properties": {
                    "x": {"type": "number", "description": "Column of the upright picture, from 0."},
                    "y": {"type": "number", "description": "Row, from 0."},
                    "positive": {
                        "type": "boolean",
                        "default": True,
                        "description": "Whether the pixel belongs to the object.",
                    },
                },
            },
        },
        "box": {
            "type": ["array", "null"],
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
            "description": "x1, y1, x2, y2; pixels, both ends within.",
        },
        "mask": {"anyOf": [_RUN_LENGTHS, {"type": "null"}]},
        "appearance": {
            "type": ["object", "null"],
            "description": "What the object looked like elsewhere, as a state of /propagate holds it.",
        },
    },
    "examples": [{"clicks": [{"x": 300, "y": 150}]}],
}

Picture = Annotated[
    str,
    Meta(
        description="The id of a picture that was sent before, an http(s) address, or "
        "data:image/...;base64,... with the file itself.",
        min_length=1,
    ),
]
PromptFields = Annotated[dict[str, Any], Meta(extra_json_schema=_PROMPT)]
RunLengths = Annotated[dict[str, Any], Meta(extra_json_schema=_RUN_LENGTHS)]
Area = Annotated[float, Meta(ge=0, le=1e12)]
Count = Annotated[int, Meta(ge=0)]
Points = Annotated[int, Meta(ge=FEWEST_POINTS)]
Forms = Annotated[
    tuple[Form, ...],
    Meta(
        description="How masks are written: png (base64, one byte a pixel, 255 on the object), coco (run "
        "lengths), polygons.",
    ),
]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A body that is sent: unknown entries are refused, for they are mistyped ones."""


Body = TypeVar("Body", bound=Asked)


class Address(Asked, frozen=True, kw_only=True):
    """Where a picture is."""

    address: Annotated[str, Meta(description="An http(s) address that the server can reach.", min_length=1)]


class Cleaning(Asked, frozen=True, kw_only=True):
    """What is removed from a mask and filled in it."""

    min_area: Annotated[
        Area | None,
        Meta(description="Parts of fewer pixels go; null: a thousandth of the mask; 0: none."),
    ] = None
    max_hole: Annotated[
        Area | None, Meta(description="Holes of at most so many pixels are filled; null and 0 likewise.")
    ] = None


class Outlines(Asked, frozen=True, kw_only=True):
    """How polygons follow a mask."""

    tolerance: Annotated[
        float, Meta(description="Pixels by which they may leave its edge.", ge=0, le=1e6)
    ] = 1.0
    max_points: Annotated[
        Points | None, Meta(description="Points of all polygons together; null: as many as needed.")
    ] = 200
    holes: Annotated[
        Literal["keep", "fill", "bridge"],
        Meta(description="Keep holes as rings, fill them, or join them to the outline."),
    ] = "keep"


class Written(Asked, frozen=True, kw_only=True):
    """How an answer is written."""

    finish: Annotated[
        Cleaning | None, Meta(description="null: as the server's settings say, like at every door.")
    ] = None
    forms: Forms = ("coco",)
    polygons: Outlines = Outlines()


class SegmentOptions(Written, frozen=True, kw_only=True):
    """What is asked of one object in a picture that comes in the same body."""

    prompt: PromptFields
    choice: Annotated[
        Count | None,
        Meta(description="Take this one of the answers to a first click, from 0; see candidates."),
    ] = None
    candidates: Annotated[
        bool, Meta(description="Also answer with all masks to choose from, the largest first.")
    ] = False


class Segment(SegmentOptions, frozen=True, kw_only=True):
    """What is asked of one object in a picture."""

    image: Picture


class Propagate(Written, frozen=True, kw_only=True):
    """An object in one frame, to be found in the following ones: its mask there, or where an answer ended."""

    image: Picture | None = None
    mask: RunLengths | None = None
    state: Annotated[
        dict[str, Any] | None,
        Meta(description="What the answer before said to go on with, in the place of image and mask."),
    ] = None
    frames: Annotated[
        tuple[Picture, ...],
        Meta(description="The next frames in order.", min_length=1, max_length=MOST_FRAMES),
    ]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A body that is answered."""


class Refusal(Said, frozen=True, kw_only=True):
    """Why there is no answer."""

    error: Annotated[str, Meta(description="One sentence: what was wrong, and what to do.")]
    kind: Annotated[str, Meta(description="The class of the error, for programs.")]


class Health(Said, frozen=True, kw_only=True):
    """How the server is."""

    status: Literal["UP"]
    version: Annotated[str, Meta(description="Of the weights that answer.")]
    model: Annotated[Literal["loading", "ready", "failed"], Meta(description="How far the weights are.")]
    waiting: Annotated[int, Meta(description="Requests that wait for their turn.")]


class ModelFacts(Said, frozen=True, kw_only=True):
    """A model that answers."""

    name: str
    version: str
    variant: Annotated[str, Meta(description="The architecture.")]
    engine: Annotated[str, Meta(description="What runs it.")]
    device: str


class Models(Said, frozen=True, kw_only=True):
    """The models that answer here."""

    models: tuple[ModelFacts, ...]


class ImageFacts(Said, frozen=True, kw_only=True):
    """A picture that is kept for a while."""

    image: Annotated[str, Meta(description="Its id: a digest of the file.", pattern="^[0-9a-f]{32}$")]
    width: Annotated[int, Meta(description="Pixels of the upright picture.", ge=1)]
    height: Annotated[int, Meta(ge=1)]
    notes: Annotated[tuple[str, ...], Meta(description="What was done to read it.")]


class ClickFields(Said, frozen=True, kw_only=True):
    """One click."""

    x: int
    y: int
    positive: bool


class Ring(Said, frozen=True, kw_only=True):
    """One part of a mask."""

    exterior: Annotated[
        tuple[tuple[float, float], ...], Meta(description="Points x, y along pixel edges, clockwise.")
    ]
    holes: tuple[tuple[tuple[float, float], ...], ...]


class MaskFields(Said, frozen=True, kw_only=True):
    """A mask in the forms that were asked for, and what is known of it."""

    area: Annotated[int, Meta(description="Pixels.", ge=0)]
    box: Annotated[
        tuple[int, int, int, int] | None, Meta(description="x1, y1, x2, y2; null if the mask is empty.")
    ]
    png: Annotated[str, Meta(description="A PNG file in base64.")] | UnsetType = UNSET
    coco: RunLengths | UnsetType = UNSET
    polygons: tuple[Ring, ...] | UnsetType = UNSET
    lost_iou: (
        Annotated[float, Meta(description="What the polygons cost: 1 - intersection over union.")] | UnsetType
    ) = UNSET


class Candidate(MaskFields, frozen=True, kw_only=True):
    """One answer, and the clicks that ask for it."""

    clicks: tuple[ClickFields, ...]
    confidence: Annotated[
        float, Meta(description="Expected intersection over union with the truth.", ge=0, le=1)
    ]


class Segmented(Candidate, frozen=True, kw_only=True):
    """The mask that was asked for."""

    image: Annotated[str, Meta(description="Id of the picture.")]
    width: int
    height: int
    version: Annotated[str, Meta(description="Of the weights that answered.")]
    implied_click: Annotated[
        ClickFields | None, Meta(description="The click assumed, where only a box or a mask was given.")
    ]
    notes: Annotated[tuple[str, ...], Meta(description="What to know of this answer.")]
    milliseconds: float
    candidates: (
        Annotated[
            tuple[Candidate, ...],
            Meta(description="The answers to choose from; this one alone if there is no choice."),
        ]
        | UnsetType
    ) = UNSET
    given: Annotated[int, Meta(description="Which of them this answer is.")] | UnsetType = UNSET


class Frame(MaskFields, frozen=True, kw_only=True):
    """The object in one frame."""

    image: Annotated[str, Meta(description="Id of the picture.")]
    confidence: Annotated[
        float, Meta(description="Expected intersection over union with the truth.", ge=0, le=1)
    ]
    doubt: Annotated[str, Meta(description="Why a person should look at this frame; empty: no reason.")]


class Propagated(Said, frozen=True, kw_only=True):
    """The object in the frames up to where it was lost."""

    frames: tuple[Frame, ...]
    lost: Annotated[bool, Meta(description="Whether it was lost before the last frame.")]
    state: Annotated[dict[str, Any], Meta(description="What to go on with in the next request.")]
    version: Annotated[str, Meta(description="Of the weights that answered.")]
    milliseconds: float


def read(kind: type[Body], body: bytes) -> Body:
    """Return the ``kind`` of request that is written in ``body``.

    Raises:
        PromptError: one sentence on the first thing that does not fit.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise PromptError(f"the request does not fit: {_sentence(str(error), body)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        beginning = body[:40].decode("latin-1")
        raise PromptError(f"the request is {shown(beginning)}, which is no JSON; send an object.") from None


def _sentence(complaint: str, body: bytes) -> str:
    """Return msgspec's complaint with the value that it is about."""
    what, _, place = complaint.replace("`", "").partition(" - at ")
    steps = re.findall(r"\.(\w+)|\[(\d+)\]", place)
    found = None
    try:
        found = msgspec.json.decode(body)
        for name, number in steps:
            found = found[int(number) if number else name]
    except (LookupError, TypeError, RecursionError, UnicodeDecodeError, msgspec.DecodeError):
        # [...] stands for any key; and what comes after the first thing that does not fit may be no JSON
        found = None
    where = "".join(f".{name}" if name else f"[{number}]" for name, number in steps).lstrip(".")
    return f"{where or 'it'} is {shown(found)}: {what[0].lower()}{what[1:]}."
