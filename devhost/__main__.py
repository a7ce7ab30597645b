"""Which command does the command line name, and which exit code does it return?"""

import argparse
import asyncio
import sys
from pathlib import Path

from devhost.app.settings import SettingsError
from devhost.cli.arguments import parser
from devhost.cli.recording import InvalidRecordingError
from devhost.engine.storage.database import DatabaseVersionError
from devhost.engine.storage.file_lock import DatabaseInUseError
from devhost.http.keys import STATE_FOLDER
from devhost.http.routes import InvalidRouteError
from devhost.startup.bootstrap import Bootstrap, bootstrap
from devhost.startup.options import StartOptions
from devhost.supervisor.messages import AppFailedToLoadError, WorkerLostError
from devhost.timers.ncrontab import InvalidScheduleError

REFUSALS = (
    DatabaseInUseError,
    DatabaseVersionError,
    SettingsError,
    InvalidRouteError,
    InvalidScheduleError,
    InvalidRecordingError,
    OSError,
)


def options_from(arguments: argparse.Namespace) -> StartOptions:
    app: Path = arguments.app
    return StartOptions(
        app=app,
        port=arguments.port,
        database=arguments.db or app / STATE_FOLDER / "hub.db",
        state=arguments.state,
        auth=arguments.enable_auth,
        listener=arguments.listener,
        hosts=tuple(arguments.allow_host),
    )


async def start(beginning: Bootstrap) -> int:
    from devhost.host import FunctionsHost  # noqa: PLC0415 - takes half a second, in which the worker loads the app

    return await FunctionsHost(beginning).run()


def perform_start(arguments: argparse.Namespace) -> int:
    options = options_from(arguments)
    if arguments.reload:
        from devhost.startup.reloader import Reloader  # noqa: PLC0415 - a plain start needs none of it

        return Reloader(options).run()
    if arguments.lifeline is not None:
        from devhost.startup.reloader import exit_with_parent  # noqa: PLC0415 - a plain start needs none of it

        exit_with_parent(arguments.lifeline)
    return asyncio.run(start(bootstrap(options)))


def perform(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "start":
            return perform_start(arguments)
        case "replay":
            from devhost.cli.replay import run_replay  # noqa: PLC0415 - a start needs none of it

            return run_replay(arguments.recording, arguments.app, as_json=arguments.json)
        case _:
            from devhost.cli import commands  # noqa: PLC0415 - a start needs none of it

            return commands.perform(arguments)


def main() -> int:
    arguments = parser().parse_args()
    try:
        return perform(arguments)
    except AppFailedToLoadError as error:
        print(f"{error}\nThe app could not be loaded.", file=sys.stderr)
    except WorkerLostError:
        print("The worker ended while it loaded the app.", file=sys.stderr)
    except REFUSALS as error:
        print(f"devhost: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
