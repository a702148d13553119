"""Workers of a Ray cluster: actors, each of which makes its own work and does unit after unit.

Only units, answers and the job travel; the program is installed on every machine. Whoever asks (the driver)
alone writes results, so nothing is written twice, whatever is lost: an actor, its machine, or the driver,
with which its actors end.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import fcfi_core
from fcfi_core import plugins
from fcfi_core.errors import FcfiError, SettingsError, without_passwords
from fcfi_core.workers.local import require_count
from fcfi_core.workers.team import Job


class Cluster(AbstractContextManager["Cluster"]):
    """A Ray cluster that runs already.

    Args:
        address: ``auto`` (this machine belongs to it), ``HOST:PORT``, or ``ray://HOST:PORT``.
        count: workers; None: as many as the cluster has room for when it is opened.
        processors: CPUs that each takes.
        gpus: that each takes.
        folders: that every machine must see.

    Opening it raises SettingsError if there is no cluster, or no Ray here.
    """

    fewest = 0

    def __init__(
        self,
        address: str,
        count: int | None = None,
        *,
        processors: int = 1,
        gpus: float = 0,
        folders: Sequence[Path] = (),
    ) -> None:
        if count is not None:
            require_count(count)
        self._address = address
        self._count = count
        self._needs = {"num_cpus": processors, "num_gpus": gpus}
        self._folders = [str(folder.absolute()) for folder in folders]
        self._ray: Any = None

    @property
    def count(self) -> int:
        """How many workers to hire."""
        assert self._count is not None
        return self._count

    def __enter__(self) -> Self:
        """Connect."""
        self._ray = _imported()
        try:
            self._ray.init(address=self._address, log_to_driver=False, configure_logging=False)
        except Exception as error:  # Ray raises some ten kinds, gRPC's among them
            raise SettingsError(
                f"there is no Ray cluster at {without_passwords(self._address)!r} ({_first_line(error)}); "
                "start one with `ray start --head`, or give another --cluster."
            ) from None
        if self._count is None:
            there = self._ray.cluster_resources()
            rooms = [there.get("CPU", 0) / self._needs["num_cpus"]]
            if self._needs["num_gpus"]:
                rooms.append(there.get("GPU", 0) / self._needs["num_gpus"])
            self._count = max(int(min(rooms)), 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect, which ends all workers."""
        self._ray.shutdown()

    def hire(self, job: Job[Any, Any]) -> _Actor:
        """Return an actor, on whichever machine has room."""
        assert job.make is not None
        actor = self._ray.remote(_Hand).options(
            **self._needs, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        return _Actor(self._ray, actor.remote(), job.make, self._folders)


class _Actor:
    """The driver's end of a worker."""

    def __init__(self, ray: Any, actor: Any, make: Any, folders: Sequence[str]) -> None:
        self._ray = ray
        self._actor = actor
        self.losses: tuple[type[BaseException], ...] = (
            ray.exceptions.RayActorError,
            ray.exceptions.WorkerCrashedError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.OutOfMemoryError,
            ray.exceptions.ObjectLostError,
        )
        self.ready: Future[Any] = _unwrapped(actor.begin.remote(make, fcfi_core.__version__, folders))

    def give(self, unit: Any) -> Future[Any]:
        """Return the answer to come."""
        return _unwrapped(self._actor.do.remote(unit))

    def dismiss(self) -> None:
        """End the actor, whatever it is doing."""
        self._ray.kill(self._actor)


class _Hand:
    """The cluster's end of a worker: an actor. Its errors are answers, too, so that Ray adds no trace."""

    def begin(self, make: Any, version: str, folders: Sequence[str]) -> FcfiError | None:
        """Make the work, on a machine that has what it needs."""
        host = socket.gethostname()
        if version != fcfi_core.__version__:
            return SettingsError(
                f"machine {host} of the cluster has fcfi {fcfi_core.__version__}, this one {version}; "
                "install the same on both."
            )
        for folder in folders:
            if not os.path.exists(folder):
                return SettingsError(
                    f"machine {host} of the cluster does not see {folder!r}; give a folder that all machines "
                    "share, or the address of a store (s3://...)."
                )
        try:
            self._work = make()
        except FcfiError as error:
            return type(error)(f"machine {host} of the cluster: {error}")
        return None

    def do(self, unit: Any) -> Any:
        """Return the answer, or what ends all work."""
        try:
            return self._work(unit)
        except FcfiError as error:
            return error


def _unwrapped(reference: Any) -> Future[Any]:
    """Return the future of a Ray object; failed with the FcfiError that it may hold."""
    future: Future[Any] = Future()

    def finish(done: Future[Any]) -> None:
        error = done.exception()
        answer = None if error else done.result()
        if error is not None:
            future.set_exception(getattr(error, "cause", None) or error)
        elif isinstance(answer, FcfiError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    reference.future().add_done_callback(finish)
    return future


def _imported() -> Any:
    # Without this Ray warns that it will hide GPUs in another way some day, which does not matter here.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise SettingsError(plugins.missing(error, "--cluster")) from None
    return ray


def _first_line(error: Exception) -> str:
    lines = without_passwords(str(error)).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
