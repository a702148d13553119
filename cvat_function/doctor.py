"""``fcfi doctor cvat``: whether a CVAT server and our function can work together.

Every step looks at one thing and says what to do about it. The last one is real: a temporary task with one
picture gets one click through the server, and is deleted again.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cvat_function import client, releases
from fcfi_core.cli.doctor import Finding
from fcfi_core.errors import DataError, FcfiError
from fcfi_core.masks import cvat

if TYPE_CHECKING:
    from cvat_sdk import Client

HELP = "whether a CVAT server reaches our function, its metadata, one real click"

_WIDTH, _HEIGHT = 320, 240
_LEAST_OVERLAP = 0.7
_LOG = "look into the function's log (docker logs nuclio-nuclio-fcfi)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi doctor cvat``."""
    client.add_arguments(parser)
    parser.add_argument("--function", default="fcfi", metavar="ID", help="our function's name (fcfi)")
    parser.add_argument(
        "--no-click", action="store_true", help="do not make a temporary task for a real click"
    )


def examine(arguments: argparse.Namespace) -> Iterator[Finding]:
    """Yield what is found; a step that fails does not keep the independent ones from being tried."""
    try:
        server = client.connect(arguments)
        with client.in_a_sentence():
            version = client.version_of(server, server.api_client.configuration.host)
            remark = client.other_version(server)
    except FcfiError as error:
        yield Finding("CVAT", str(error), good=False)
        return
    number = releases.numbers(version)
    yield Finding("CVAT", f"{version} at {server.api_client.configuration.host}")
    yield from _release(number)
    if remark:
        yield Finding("cvat-sdk", remark)
    yield from _attempt("agents", lambda: iter([_agents(server)]))
    works = True
    for finding in _attempt("function", lambda: _function(server, arguments.function)):
        works = works and finding.good
        yield finding
    if works and not arguments.no_click:
        yield from _attempt("a real click", lambda: _click(server, arguments.function, number))


def metadata(function: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what CVAT's interface makes of an interactor as the server lists it."""
    topic = "its metadata"
    if function.get("version", 1) < 2:
        yield Finding(topic, "version is below 2: the interface refuses it as outdated", good=False)
    if function.get("min_neg_points", -1) < 0:
        yield Finding(topic, "min_neg_points is below 0: right clicks are ignored; set 0", good=False)
    if function.get("startswith_box"):
        yield Finding(
            topic,
            "startswith_box: nothing happens before a box is drawn; leave it out (any text counts as true)",
            good=False,
        )
    elif function.get("startswith_box_optional") and function.get("min_pos_points", 1) > 0:
        yield Finding(topic, "a box alone asks nothing; set min_pos_points: 0", good=False)
    elif function.get("startswith_box_optional"):
        yield Finding(topic, 'begins with a box, until "Start with a bounding box" is switched off')
    else:
        yield Finding(topic, "begins with a left click; boxes are what function-box.yaml offers")


def judge(answer: object, disk: NDArray[np.bool_], number: tuple[int, int, int] | None) -> Finding:
    """Return what the answer to a click on ``disk`` (H, W) is worth in the interface of CVAT ``number``."""
    topic = "a real click"
    if not isinstance(answer, Mapping) or not {"shapes", "mask"} & set(answer):
        return Finding(topic, "the function answers in a form that no interface takes", good=False)
    form = "shapes" if "shapes" in answer else "crop" if "bounds" in answer else "mask"
    wanted = releases.form_of(number) if number else None
    if wanted and form not in (wanted, "mask"):
        return Finding(
            topic,
            f"its answer is of form {form}, for this CVAT deploy it with FCFI_CVAT_RESPONSE={wanted}",
            good=False,
        )
    try:
        mask = _mask(answer, form, disk.shape)
    except (FcfiError, LookupError, TypeError, ValueError) as error:
        return Finding(topic, f"the answer cannot be read ({error})", good=False)
    overlap = (mask & disk).sum() / (mask | disk).sum()
    text = f"mask and disk overlap by {100 * overlap:.0f} %"
    if overlap < _LEAST_OVERLAP:
        return Finding(topic, f"{text}: these weights do not work here; try another FCFI_MODEL", good=False)
    return Finding(topic, f"{text}, in the form {form}: CVAT and the function work together")


def _attempt(topic: str, step: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        with client.in_a_sentence():
            yield from step()
    except FcfiError as error:
        yield Finding(topic, str(error), good=False)


def _release(number: tuple[int, int, int] | None) -> Iterator[Finding]:
    if number is None:
        return
    nuclio, form = releases.nuclio_of(number), releases.form_of(number)
    if nuclio is not None:
        yield Finding("nuclio", f"this CVAT starts {nuclio}: nuctl must be of that version")
    if form is None:
        yield Finding(
            "answer form", f"its interface takes no masks; upgrade to {releases.MASK} or later", False
        )
    else:
        yield Finding("answer form", f"FCFI_CVAT_RESPONSE={form}")


def _get(server: Client, path: str) -> tuple[int, bytes]:
    """Return status and body of a GET."""
    response = server.api_client.call_api(
        path,
        method="GET",
        header_params={"Accept": "*/*"},
        _parse_response=False,
        _check_status=False,
    )[1]
    return response.status, response.data


def _agents(server: Client) -> Finding:
    status, _ = _get(server, "/api/functions")
    if status == 404:
        return Finding("agents", "not on this server (CVAT Online and Enterprise only): deploy with nuclio")
    return Finding("agents", "offered: docs/cvat-agents.md is the other way in")


def _function(server: Client, name: str) -> Iterator[Finding]:
    """Look for our function in the server's list."""
    status, body = _get(server, "/api/lambda/functions")
    if status == 404:
        raise DataError(
            "the server was started without serverless functions; add "
            "-f components/serverless/docker-compose.serverless.yml to its docker compose command."
        )
    if status != 200:
        raise DataError(
            f"the server cannot list functions ({status}): is nuclio's dashboard up, and does every function "
            "in it have sound metadata?"
        )
    try:
        listed = {one["id"]: one for one in json.loads(body)}
    except (ValueError, KeyError, TypeError):
        raise DataError("the server's list of functions cannot be read; is there a CVAT behind it?") from None
    if name not in listed:
        others = f"it lists {', '.join(sorted(listed))}" if listed else "its list is empty"
        raise DataError(
            f"{name} is not deployed ({others}); nuctl get function --platform local must say ready, "
            "in the project cvat."
        )
    kind = listed[name].get("kind")
    yield Finding("function", f"{name}, listed as {kind}: {listed[name].get('name')}")
    if kind == "interactor":
        yield from metadata(listed[name])
    else:
        raise DataError(f"{name} is no interactor; name ours by --function.")


def _click(server: Client, name: str, number: tuple[int, int, int] | None) -> Iterator[Finding]:
    """Click once through the server, in a task that is deleted again."""
    from cvat_sdk.core.proxies.tasks import ResourceType

    picture, disk = _picture()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "doctor.png"
        file.write_bytes(picture)
        task = client.patiently(
            lambda: server.tasks.create_from_data(
                spec={"name": "fcfi doctor (temporary)", "labels": [{"name": "object"}]},
                resource_type=ResourceType.LOCAL,
                resources=[str(file)],
            )
        )
    try:
        y, x = (int(place.mean()) for place in np.nonzero(disk))
        body = {"task": task.id, "frame": 0, "pos_points": [[x, y]], "neg_points": [], "obj_bbox": []}
        response = server.api_client.call_api(
            f"/api/lambda/functions/{name}",
            method="POST",
            header_params={"Content-Type": "application/json", "Accept": "*/*"},
            body=body,
            _parse_response=False,
            _check_status=False,
        )[1]
        if response.status != 200:
            raise DataError(f"the server answered a click with {response.status}; {_LOG}.")
        try:
            answer = json.loads(response.data)
        except ValueError:
            raise DataError(f"the answer to a click is no JSON; {_LOG}.") from None
        yield judge(answer, disk, number)
    finally:
        client.patiently(task.remove)


def _picture() -> tuple[bytes, NDArray[np.bool_]]:
    """Return a bright disk on a dark ground as the bytes of a PNG, and the disk as a mask."""
    rows, columns = np.mgrid[:_HEIGHT, :_WIDTH]
    disk = (rows - 110) ** 2 + (columns - 180) ** 2 < 60**2
    pixels = np.where(disk[..., None], (225, 190, 60), (40, 60, 80)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), disk


def _mask(answer: Mapping[str, Any], form: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask that the interface shows for ``answer``."""
    seen = np.zeros(shape, bool)
    if form == "shapes":
        for one in answer["shapes"]:
            seen |= cvat.decode(one["points"], shape[1], shape[0])
        return seen
    left, top, right, bottom = answer.get("bounds", (0, 0, shape[1] - 1, shape[0] - 1))
    seen[top : bottom + 1, left : right + 1] = np.asarray(answer["mask"], bool)
    return seen
