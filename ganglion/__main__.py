"""Which command does an operator run? `python -m ganglion COMMAND --help` explains each."""

import argparse
import asyncio
import os
import sys
import tomllib
from collections.abc import Callable, Sequence
from typing import Protocol

from ganglion.doctor import command as doctor
from ganglion.remote import commands
from ganglion.remote.client import ApiClient, ApiError, access_from, connect
from settings import ROOT


class Subparsers(Protocol):
    """What argparse calls the parsers of the commands."""

    def add_parser(self, name: str, *, help: str = "", description: str = "") -> argparse.ArgumentParser: ...  # noqa: A002 - argparse's own name


type Command = Callable[[ApiClient, argparse.Namespace], commands.Output]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0 clean, 1 an error, 2 wrong usage."""
    options = command_line().parse_args(arguments)
    return int(options.run(options))


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ganglion",
        description="Operate Ganglion from a command line.",
        epilog="All commands except doctor call the HTTP API at GANGLION_URL (default: `make run` on this machine) "
        "with the access token in GANGLION_ACCESS_TOKEN.",
    )
    parser.add_argument("--version", action="version", version=f"ganglion {project_version()}")
    added = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "check whether the settings, files and services of the application are right"
    examine = added.add_parser("doctor", help=text, description=sentence(text))
    doctor.add_arguments(examine)
    examine.set_defaults(run=doctor.run)
    add_lists(added)
    warm = remote(added, "warm", commands.warm, "start a backend that scales to zero (role Operations.WarmUp)")
    warm.add_argument("name", help="the name of the backend")
    warm.add_argument("--yes", action="store_true", help="start it without a confirmation")
    for name, command, text in (
        ("turn", commands.turn, "show the timeline and the bill of a turn"),
        ("follow", commands.follow, "stream a turn"),
        ("cancel", commands.cancel, "cancel a turn"),
    ):
        remote(added, name, command, text).add_argument("id", help="the id of the response, resp_…")
    return parser


def project_version() -> str:
    """Return the version of this checkout. `GET /readyz` of an app shows the release that it was built as."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["tool"]["ganglion"]["version"]


def add_lists(added: Subparsers) -> None:
    turns = remote(added, "turns", commands.turns, "list turns, newest first")
    add_limit(turns, 20)
    turns.add_argument("--status", default="", help="only turns with this status, such as in_progress or failed")
    turns.add_argument("--tenant", action="store_true", help="the turns of the whole tenant (role Operations.Read)")
    remote(added, "fleet", commands.fleet, "list the backends and their status (role Operations.Read)")
    remote(added, "tools", commands.tools, "list the tools of the MCP servers (role Operations.Read)")
    accept = remote(added, "accept", commands.accept, "accept a changed tool of an MCP server (role Tools.Accept)")
    accept.add_argument("server", help="the label of the server")
    accept.add_argument("id", help="the id of the tool, as `tools` lists it: the hash of its description")
    remote(added, "budgets", commands.budgets, "list the budgets that apply to the caller")
    add_limits(added)
    add_batches(added)
    usage = remote(added, "usage", commands.usage, "list usage and cost")
    usage.add_argument(
        "--by",
        default="day",
        help="what to group by, separated by commas (default: day): day, hour, cause, owner, conversation, model, "
        "backend, and one of batch, pipeline, cache",
    )
    add_limit(usage, 100)


def add_limits(added: Subparsers) -> None:
    limits = remote(added, "limits", commands.limits, "show or change budgets and rate limits without a restart")
    limits.add_argument("--tenant", default="", metavar="ID", help="the tenant (default: that of the access token)")
    limits.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set a limit, such as tenant_day=20; repeatable",
    )
    limits.add_argument(
        "--reset",
        action="append",
        default=[],
        metavar="NAME",
        help="return a limit to its configured value; repeatable",
    )


def add_batches(added: Subparsers) -> None:
    batches = remote(added, "batches", commands.batches, "list batches, show one, or cancel it")
    batches.add_argument("id", nargs="?", default="", help="the id of a batch, batch_… (default: list all)")
    batches.add_argument("--cancel", action="store_true", help="cancel the batch")
    add_limit(batches, 20)
    pipelines = remote(
        added,
        "pipelines",
        commands.pipelines,
        "list pipelines, list the dead events of one, or send a dead event again",
    )
    pipelines.add_argument(
        "name", nargs="?", default="", help="list the dead events of this pipeline (default: list all pipelines)"
    )
    pipelines.add_argument(
        "--send-again", default="", metavar="ID", help="send this dead event again, dead_… (role Events.Send)"
    )
    add_limit(pipelines, 20)


def add_limit(parser: argparse.ArgumentParser, default: int) -> None:
    text = f"list at most this many (default: {default})"
    parser.add_argument("--limit", type=int, default=default, metavar="NUMBER", help=text)


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def remote(added: Subparsers, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    parser = added.add_parser(name, help=text, description=sentence(text))
    parser.add_argument("--json", action="store_true", help="print the JSON answer of the API")

    def run(options: argparse.Namespace) -> int:
        return asyncio.run(call(command, options))

    parser.set_defaults(run=run)
    return parser


async def shown_by(command: Command, api: ApiClient, options: argparse.Namespace) -> commands.Output:
    """Yield what a command shows. Raises ApiError, also where the answer is that of another service or release."""
    try:
        async for text in command(api, options):
            yield text
    except (LookupError, TypeError, AttributeError) as problem:
        kind = type(problem).__name__
        raise ApiError(
            f"the answer is not one of this release of Ganglion ({kind}: {problem}); check GANGLION_URL"
        ) from problem


async def call(command: Command, options: argparse.Namespace) -> int:
    try:
        async with connect(access_from(os.environ)) as http:
            async for text in shown_by(command, ApiClient(http), options):
                sys.stdout.write(text)
                sys.stdout.flush()
    except ApiError as problem:
        sys.stderr.write(f"ganglion: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
