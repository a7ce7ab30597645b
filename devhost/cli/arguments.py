"""Which commands and options does the command line have?"""

import argparse
from pathlib import Path
from typing import Protocol

CONTROL_COMMANDS = {
    "terminate": "end an instance at once",
    "suspend": "let an instance gather events and do nothing",
    "resume": "let a suspended instance go on",
    "rewind": "run again what failed last",
}


class Commands(Protocol):
    """The part of argparse's subparsers that this module uses."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser: ...  # noqa: A002 - argparse's name


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="devhost", description="Run a function app, and look at its instances.")
    commands = found.add_subparsers(dest="command", required=True)
    add_start(commands)
    add_read_commands(commands)
    add_control_commands(commands)
    replay = commands.add_parser("replay", help="does today's code do what a recorded history says?")
    replay.add_argument("recording", type=Path, help="what `devhost history ID --full` printed")
    replay.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py (default: here)")
    replay.add_argument("--json", action="store_true", help="for machines")
    return found


def add_start(commands: Commands) -> None:
    start = commands.add_parser("start", help="run a function app until Ctrl-C")
    start.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py (default: here)")
    start.add_argument("--port", type=int, default=7071, help="the public port on 127.0.0.1, 0 for a free one")
    start.add_argument("--db", type=Path, help="the file of all durable state (default: APP/.devhost/hub.db)")
    start.add_argument("--enable-auth", "--enableAuth", action="store_true", help="ask for keys as Azure does")
    start.add_argument("--reload", action="store_true", help="start anew when a file of the app changes")
    start.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    start.add_argument("--lifeline", type=int, help=argparse.SUPPRESS)
    start.add_argument("--state", type=Path, help="a JSON file with process ids, port and readiness")


def add_command(commands: Commands, name: str, text: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text)
    command.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py (default: here)")
    command.add_argument("--db", type=Path, help="the file of all durable state (default: APP/.devhost/hub.db)")
    command.add_argument("--json", action="store_true", help="for machines")
    return command


def add_read_commands(commands: Commands) -> None:
    instances = add_command(commands, "instances", "list instances, the oldest first")
    instances.add_argument("--status", default="", help="only these, such as Running,Failed")
    instances.add_argument("--prefix", default="", help="only ids that begin so")
    instances.add_argument("--top", type=int, default=100, help="at most so many (default: 100)")
    add_command(commands, "show", "one instance").add_argument("id")
    add_command(commands, "keys", "the keys that this host knows")
    history = add_command(commands, "history", "what happened to an instance")
    history.add_argument("id")
    history.add_argument("--full", action="store_true", help="every event, as `devhost replay` reads it")


def add_control_commands(commands: Commands) -> None:
    for name, text in CONTROL_COMMANDS.items():
        tell = add_command(commands, name, text)
        tell.add_argument("id")
        tell.add_argument("reason", nargs="?", default="")
    event = add_command(commands, "raise-event", "send an event to an instance")
    event.add_argument("id")
    event.add_argument("name")
    event.add_argument("value", nargs="?", default="null", help="JSON")
    restart = add_command(commands, "restart", "run an orchestration again with the same input")
    restart.add_argument("id")
    restart.add_argument("--same-id", action="store_true", help="replace the instance")
    purge = add_command(commands, "purge", "remove instances that have ended")
    purge.add_argument("id", nargs="?", help="one instance; without it, all that --before and --status name")
    purge.add_argument("--before", default="", help="created before, such as 2026-11-01")
    purge.add_argument("--status", default="", help="only these, such as Completed,Failed")
