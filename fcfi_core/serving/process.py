"""One server process: settings in, exit code out."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Mapping
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from fcfi_core.checkpoints import CHOSEN
from fcfi_core.click_log import ClickLog
from fcfi_core.errors import FcfiError, SettingsError
from fcfi_core.heap import fill_heap
from fcfi_core.predictor import Predictor
from fcfi_core.serving.app import create_app
from fcfi_core.serving.loading import Loading, follow_choice, version_of
from fcfi_core.serving.service import GRACE_SECONDS, Service
from fcfi_core.serving.settings import ServingSettings
from fcfi_core.settings import CORE_VARIABLES, read

logger = logging.getLogger("fcfi.serving")

_KEEP_ALIVE_SECONDS = 30
_WAITING_CONNECTIONS = 128


def serve(settings: ServingSettings, environment: Mapping[str, str]) -> int:
    """Serve until a signal says stop.

    Args:
        settings: of the server.
        environment: holds the core's variables (model, device, memo), and those of the doors.

    Returns:
        0.

    Raises:
        SettingsError: if the address cannot be listened on.
        FcfiError: if the weights cannot be loaded.
    """
    values = read(CORE_VARIABLES, environment)

    def load() -> Predictor:
        predictor = Predictor.from_settings(values)
        if predictor.model.engine.name == "torch":  # others take what they need with the first clicks
            fill_heap()
        return predictor

    model = Loading(load, version_of(values["FCFI_MODEL"]))
    service = Service(settings, model, environment, ClickLog.from_settings(values))
    server = Server(service)  # settings of a door that are wrong are said before anything is opened
    listening = listen(settings.host, settings.port)
    model.start(server.stop)
    stopped = threading.Event()
    if values["FCFI_MODEL"] == CHOSEN:
        threading.Thread(target=follow_choice, args=(model, load, stopped), daemon=True).start()
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn hands the signal on when it has stopped
        pass
    finally:
        stopped.set()
        listening.close()
        model.ended(GRACE_SECONDS)
    if model.state == "failed":
        raise model.error or FcfiError("the weights could not be loaded; the log above says why.")
    return 0


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at ``host`` and ``port``.

    Raises:
        SettingsError: one sentence on why that is impossible.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError):
        raise SettingsError(
            f"the host {host!r} is no address of this machine; give --host 127.0.0.1, or 0.0.0.0 for all."
        ) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_WAITING_CONNECTIONS)
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"cannot listen at {host}:{port}: {reason}; give another --port or --host, or end what is there."
        ) from None
    listening.setblocking(False)
    return listening


class Server(uvicorn.Server):
    """uvicorn, which says where it listens once it does, and lets its queue go as soon as it is told to stop.

    Args:
        service: what it serves.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http=_connection(service.settings),
                ws="none",
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(GRACE_SECONDS) + 1,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listening in sockets or ():
            host, port = listening.getsockname()[:2]
            address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
            logger.info(
                "%s at %s, the playground at %s/playground", self._service.model.version, address, address
            )

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._let_go()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """End serving, from any thread: there are no weights to serve with."""
        self.should_exit = True

    def _let_go(self) -> None:
        """Answer whoever waits, and give what runs little time."""
        self._service.model.give_up()
        threading.Thread(target=self._service.scheduler.close, args=(GRACE_SECONDS,), daemon=True).start()


def _connection(settings: ServingSettings) -> type[H11Protocol]:
    """Return the class of connections that do not wait for ever, and of which there are only so many."""

    class Connection(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > settings.connections:
                logger.warning(
                    "more than %d connections; one is closed (FCFI_CONNECTIONS)", settings.connections
                )
                transport.close()
                return
            self._expect_a_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is h11.IDLE:
                self._expect_a_head()
            else:
                self._forget_the_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_the_head()
            super().connection_lost(exc)

        def _expect_a_head(self) -> None:
            if self._head is None:
                self._head = self.loop.call_later(settings.header_seconds, self._give_up)

        def _forget_the_head(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

        def _give_up(self) -> None:
            self.transport.close()

    return Connection
