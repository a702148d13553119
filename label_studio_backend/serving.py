"""One server process: settings in, exit code out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import uvicorn

from fcfi_core.checkpoints import CHOSEN
from fcfi_core.errors import FcfiError
from fcfi_core.heap import fill_heap
from fcfi_core.predictor import Predictor
from fcfi_core.serving.loading import Loading, follow_choice, version_of
from fcfi_core.settings import CORE_VARIABLES, read
from label_studio_backend.label_studio import LabelStudio
from label_studio_backend.server import GRACE_SECONDS, create_app
from label_studio_backend.settings import Settings

logger = logging.getLogger("fcfi.label_studio")


def serve(settings: Settings, environment: Mapping[str, str]) -> int:
    """Serve until a signal says stop.

    Args:
        settings: of the backend.
        environment: holds the core's variables: model, device, memo.

    Returns:
        0, or 2 if the weights cannot be loaded.
    """
    values = read(CORE_VARIABLES, environment)

    def load() -> Predictor:
        predictor = Predictor.from_settings(values)
        fill_heap()
        return predictor

    model = Loading(load, version_of(values["FCFI_MODEL"]))
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, model),
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(GRACE_SECONDS),
            timeout_keep_alive=30,
        )
    )

    def failed() -> None:
        server.should_exit = True

    address = f"http://{settings.host}:{settings.port}"
    logger.info("%s at %s, the playground at %s/playground", model.version, address, address)
    model.start(failed)
    threading.Thread(target=check_label_studio, args=(settings,), daemon=True).start()
    stopped = threading.Event()
    if values["FCFI_MODEL"] == CHOSEN:
        threading.Thread(target=follow_choice, args=(model, load, stopped), daemon=True).start()
    server.run()
    stopped.set()
    if model.state == "failed":
        raise model.error or FcfiError("the weights could not be loaded; the log above says why.")
    return 0 if server.started else 2


def check_label_studio(settings: Settings) -> None:
    """Say at start, in one line, what would later fail where nobody sees it."""
    if not settings.label_studio_url and settings.label_studio_token:
        logger.warning(
            "LABEL_STUDIO_API_KEY is set, but LABEL_STUDIO_URL is not: give Label Studio's address, too, or "
            "images uploaded there cannot be read"
        )
        return
    if not settings.label_studio_url:
        logger.info(
            "the playground needs nothing more; for Label Studio's uploads and storages, set "
            "LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY to its address and an access token"
        )
        return
    try:
        user = LabelStudio.from_settings(settings).who_am_i()
        logger.info("Label Studio at %s knows us as %s", settings.label_studio_url, user)
    except FcfiError as error:
        logger.warning("%s", error)
