"""``fcfi serve``: the playground, and the doors that plugins add, in one server."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace

import msgspec  # noqa: F401 (whatever of the extra is missing is said at once)
import prometheus_client  # noqa: F401
import python_multipart  # noqa: F401
import starlette  # noqa: F401
import uvicorn  # noqa: F401

from fcfi_core.errors import SettingsError, plain
from fcfi_core.heap import keep_flat
from fcfi_core.serving.settings import ServingSettings, credentials
from fcfi_core.settings import SERVING_VARIABLES, port

HELP = "serve the playground page and the backends of annotation platforms"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi serve``; all else is set by environment variables."""
    defaults = {variable.name: variable.default for variable in SERVING_VARIABLES}
    parser.add_argument(
        "--host", help=f"address to listen on (FCFI_HOST, {defaults['FCFI_HOST']}); 0.0.0.0 for all"
    )
    parser.add_argument("--port", help=f"port to listen on (FCFI_PORT, {defaults['FCFI_PORT']})")
    parser.add_argument("--model", help="name or path of the model (FCFI_MODEL, default)")
    parser.add_argument("--engine", help="auto, openvino, openvino-bf16 or torch (FCFI_ENGINE, auto)")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N (FCFI_DEVICE, auto)")
    parser.add_argument(
        "--basic-auth",
        metavar="USER:PASSWORD",
        help="what callers must send (better: BASIC_AUTH_USER and BASIC_AUTH_PASS)",
    )
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal says stop."""
    names = ("model", "device", "engine")
    chosen = {f"FCFI_{name.upper()}": getattr(arguments, name) for name in names}
    environment = {**os.environ, **{name: value for name, value in chosen.items() if value}}
    settings = ServingSettings.from_environment(environment)
    if arguments.host:
        settings = replace(settings, host=arguments.host)
    if arguments.port:
        try:
            settings = replace(settings, port=port(arguments.port))
        except ValueError:
            raise SettingsError(
                f"--port is {arguments.port!r}; give a whole number from 1 to 65535."
            ) from None
    if arguments.basic_auth:
        user, password = credentials(arguments.basic_auth)
        settings = replace(settings, user=user, password=password)
    logging.basicConfig(level=arguments.log_level.upper(), handlers=[_handler()])
    keep_flat()
    from fcfi_core.serving.process import serve  # heavy

    return serve(settings, environment)


class _PlainFormatter(logging.Formatter):
    """Writes one line for a message, whatever names it holds."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = plain(record.message)
        return super().formatMessage(record)


def _handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(message)s"))
    return handler
