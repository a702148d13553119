"""``fcfi serve``: the Label Studio backend, with the playground beside it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace

from fcfi_core.heap import keep_flat
from fcfi_core.settings import SERVING_VARIABLES
from label_studio_backend.settings import Settings, credentials

HELP = "serve the Label Studio backend and the playground page"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``fcfi serve``; all else is set by environment variables."""
    defaults = {variable.name: variable.default for variable in SERVING_VARIABLES}
    parser.add_argument(
        "--host", help=f"address to listen on (FCFI_HOST, {defaults['FCFI_HOST']}); 0.0.0.0 for all"
    )
    parser.add_argument("--port", type=int, help=f"port to listen on (FCFI_PORT, {defaults['FCFI_PORT']})")
    parser.add_argument("--model", help="name or path of the model (FCFI_MODEL, default)")
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N (FCFI_DEVICE, auto)")
    parser.add_argument("--engine", help="auto, openvino or torch (FCFI_ENGINE, auto)")
    parser.add_argument(
        "--basic-auth",
        metavar="USER:PASSWORD",
        help="what Label Studio must send (better: BASIC_AUTH_USER and BASIC_AUTH_PASS)",
    )
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal says stop; 2 if the weights cannot be loaded."""
    names = ("model", "device", "engine")
    chosen = {f"FCFI_{name.upper()}": getattr(arguments, name) for name in names}
    environment = {**os.environ, **{name: value for name, value in chosen.items() if value}}
    settings = Settings.from_environment(environment)
    if arguments.host:
        settings = replace(settings, host=arguments.host)
    if arguments.port:
        settings = replace(settings, port=arguments.port)
    if arguments.basic_auth:
        user, password = credentials(arguments.basic_auth)
        settings = replace(settings, user=user, password=password)
    logging.basicConfig(
        level=arguments.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    keep_flat()
    from label_studio_backend.serving import serve  # heavy

    return serve(settings, environment)
