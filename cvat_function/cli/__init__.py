"""The verb ``fcfi cvat``: what can be done with a CVAT server from outside."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from cvat_function.cli import upgrade_task

HELP = "work on a CVAT server: turn boxes of a task into masks"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands of ``fcfi cvat``."""
    commands = parser.add_subparsers(dest="cvat_command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "upgrade-task", help=upgrade_task.HELP, description=upgrade_task.DESCRIPTION
    )
    upgrade_task.add_arguments(command)
    command.set_defaults(cvat_run=upgrade_task.run)


def run(arguments: Namespace) -> int:
    """Run the chosen command and return its exit status."""
    status: int = arguments.cvat_run(arguments)
    return status
