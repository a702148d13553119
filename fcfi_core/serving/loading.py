"""The predictor on its way: weights load while the server already answers."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Literal

from fcfi_core.checkpoints import CHOSEN, chosen, resolve
from fcfi_core.checkpoints.catalogue import sha256
from fcfi_core.errors import BusyError, FcfiError, WeightsError
from fcfi_core.predictor import Predictor

logger = logging.getLogger("fcfi.serving")


class Loading:
    """A predictor that may not be there yet; thread-safe.

    Args:
        load: returns it; runs once, in a thread of its own.
        version: names the weights, known before they are loaded.
    """

    def __init__(self, load: Callable[[], Predictor], version: str) -> None:
        self.version = version
        self.error: FcfiError | None = None
        self._load = load
        self._predictor: Predictor | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fcfi-loading", daemon=True)
        self._failed: Callable[[], None] = lambda: None
        self._given_up = False

    def start(self, failed: Callable[[], None] | None = None) -> Loading:
        """Begin to load; call ``failed`` if that fails. Returns itself."""
        if failed is not None:
            self._failed = failed
        self._thread.start()
        return self

    @property
    def state(self) -> Literal["loading", "ready", "failed"]:
        """How far it is."""
        if not self._done.is_set():
            return "loading"
        return "ready" if self._predictor is not None else "failed"

    @property
    def ready(self) -> Predictor | None:
        """The predictor if it is there."""
        return self._predictor

    def wait(self, seconds: float) -> Predictor:
        """Return the predictor as soon as it is there.

        Raises:
            BusyError: if it is not there after ``seconds``.
            FcfiError: why it could not be loaded.
        """
        if not self._done.wait(max(0.0, seconds)):
            raise BusyError("the weights are still being loaded; try again in some seconds.", retry_after=5.0)
        if self._predictor is None:
            raise self.error or WeightsError("the weights could not be loaded; see the log.")
        return self._predictor

    def give_up(self) -> None:
        """Say no more of a failure to load: the process ends, and with it what loading needs."""
        self._given_up = True

    def ended(self, seconds: float) -> bool:
        """Return whether loading has come to its end within ``seconds``; native code cannot be left alone."""
        return self._done.wait(seconds)

    def renew(self, load: Callable[[], Predictor], version: str) -> bool:
        """Load other weights and answer with them from then on; the present ones answer meanwhile.

        If they cannot be loaded the present ones stay, and the log says why.

        Args:
            load: returns the new predictor.
            version: names its weights.

        Returns:
            Whether the new ones are in force.
        """
        try:
            predictor = load()
            predictor.warm_up()
        except FcfiError as error:
            logger.warning("%s stays in use: %s", self.version, error)
            return False
        except Exception:
            logger.exception("%s stays in use: the chosen weights cannot be loaded", self.version)
            return False
        self._predictor, self.version = predictor, version
        logger.info("%s answers from now on", version)
        return True

    def _run(self) -> None:
        start = time.perf_counter()
        try:
            predictor = self._load()
            predictor.warm_up()
            self._predictor = predictor
            logger.info("%s is ready after %.1f s", self.version, time.perf_counter() - start)
        except FcfiError as error:
            self.error = error
        except Exception:
            if not self._given_up:
                logger.exception("the weights could not be loaded")
        finally:
            self._done.set()
            if self._predictor is None:
                self._failed()


def follow_choice(
    model: Loading, load: Callable[[], Predictor], stop: threading.Event, every: float = 2.0
) -> None:
    """Renew ``model`` whenever ``fcfi models use`` chooses other weights; returns when ``stop`` is set.

    Args:
        model: what the server answers with.
        load: returns the predictor of the present choice.
        stop: ends the watch.
        every: seconds between two looks at the choice.
    """
    seen: object = _stamp()
    while not stop.wait(every):
        try:
            present = _stamp()
            if present != seen and model.state == "ready":
                seen = present
                model.renew(load, version_of(CHOSEN))
        except Exception:  # whatever stands in the file of the choice, the next one is followed again
            logger.exception("the choice of weights cannot be followed")


def _stamp() -> tuple[str, int, int]:
    """Return what changes when other weights are chosen, or the chosen file gets other content."""
    name = chosen()
    try:
        status = Path(name).expanduser().stat()
    except (OSError, ValueError, RuntimeError):  # also names that no file can have
        return name, 0, 0
    return name, status.st_mtime_ns, status.st_size


def version_of(model: str) -> str:
    """Return what answers name as the version of ``model``, without loading it.

    It ends with a digest of the weights, so that predictions of other weights can be told apart; without
    one if there are none.

    Args:
        model: a catalogued name, the path of a file, or "chosen".

    >>> version_of("default").rpartition("-")[0].endswith("-default")
    True
    """
    name = chosen() if model == CHOSEN else model
    version = f"fcfi-{package_version('fcfi')}-{Path(name).expanduser().stem}"
    try:
        return f"{version}-{sha256(resolve(name))[:8]}"
    except WeightsError:  # loading them says what is wrong
        return version
