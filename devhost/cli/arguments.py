"""Which commands and options does the command line have?"""

import argparse
from pathlib import Path
from typing import Protocol

CONTROL_COMMANDS = {
    "terminate": "terminate an instance at once",
    "suspend": "suspend an instance: it collects events and does not run",
    "resume": "resume a suspended instance",
    "rewind": "run the failed steps of an instance again",
}


class Commands(Protocol):
    """The part of argparse's subparsers that this module uses."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser: ...  # noqa: A002 - argparse's name


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="devhost", description="Run a function app, and inspect and control its orchestrations."
    )
    commands = found.add_subparsers(dest="command", required=True)
    add_start(commands)
    add_read_commands(commands)
    add_control_commands(commands)
    replay = commands.add_parser("replay", help="check whether the current code agrees with a recorded history")
    replay.add_argument("recording", type=Path, help="a file with the output of `devhost history ID --full`")
    replay.add_argument(
        "--app", type=Path, default=Path(), help="the folder of function_app.py (default: the current folder)"
    )
    replay.add_argument("--json", action="store_true", help="print JSON")
    return found


def add_start(commands: Commands) -> None:
    start = commands.add_parser("start", help="run a function app until Ctrl-C")
    start.add_argument(
        "--app", type=Path, default=Path(), help="the folder of function_app.py (default: the current folder)"
    )
    start.add_argument("--port", type=int, default=7071, help="the public port on 127.0.0.1; 0 selects a free port")
    start.add_argument("--db", type=Path, help="the database file of the task hub (default: APP/.devhost/hub.db)")
    start.add_argument("--enable-auth", "--enableAuth", action="store_true", help="require keys, as Azure does")
    start.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="also accept management requests under this host name, such as that of a tunnel; may be repeated",
    )
    start.add_argument("--reload", action="store_true", help="restart the host when a file of the app changes")
    start.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    start.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    start.add_argument("--state", type=Path, help="write process ids, port and readiness to this JSON file")


def add_command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.add_argument(
        "--app", type=Path, default=Path(), help="the folder of function_app.py (default: the current folder)"
    )
    command.add_argument("--db", type=Path, help="the database file of the task hub (default: APP/.devhost/hub.db)")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def add_read_commands(commands: Commands) -> None:
    instances = add_command(commands, "instances", "list instances, the oldest first")
    instances.add_argument("--status", default="", help="only instances with these statuses, such as Running,Failed")
    instances.add_argument("--prefix", default="", help="only instances whose id has this prefix")
    instances.add_argument("--top", type=int, default=100, help="the maximum number of instances (default: 100)")
    add_command(commands, "show", "show one instance").add_argument("id")
    add_command(commands, "keys", "show the keys of this host")
    history = add_command(commands, "history", "show the history of an instance")
    history.add_argument("id")
    history.add_argument("--full", action="store_true", help="print every event as JSON for `devhost replay`")


def add_control_commands(commands: Commands) -> None:
    for name, text in CONTROL_COMMANDS.items():
        control = add_command(commands, name, text)
        control.add_argument("id")
        control.add_argument("reason", nargs="?", default="")
    event = add_command(commands, "raise-event", "send an event to an instance")
    event.add_argument("id")
    event.add_argument("name")
    event.add_argument("value", nargs="?", default="null", help="the event's value as JSON")
    restart = add_command(commands, "restart", "run an orchestration again with the same input")
    restart.add_argument("id")
    restart.add_argument("--same-id", action="store_true", help="replace the instance instead of creating a new one")
    purge = add_command(commands, "purge", "remove completed instances")
    purge.add_argument(
        "id", nargs="?", help="one instance; without an id, all instances that match --before and --status"
    )
    purge.add_argument("--before", default="", help="only instances created before this time, such as 2026-11-01")
    purge.add_argument("--status", default="", help="only instances with these statuses, such as Completed,Failed")
