"""Which part of this program does a command line mean?"""

import argparse
import asyncio
import sys
from pathlib import Path

from devhost.app.settings import SettingsError
from devhost.cli.arguments import parser
from devhost.cli.recording import BadRecordingError
from devhost.engine.storage.database import DatabaseVersionError
from devhost.engine.storage.file_lock import DatabaseInUseError
from devhost.http.keys import FOLDER
from devhost.http.routes import BadRouteError
from devhost.startup.bootstrap import Beginning, begin
from devhost.startup.options import Options
from devhost.supervisor.messages import AppFailedToLoadError, WorkerLostError
from devhost.timers.ncrontab import BadScheduleError

REFUSALS = (
    DatabaseInUseError,
    DatabaseVersionError,
    SettingsError,
    BadRouteError,
    BadScheduleError,
    BadRecordingError,
    OSError,
)


def options_from(arguments: argparse.Namespace) -> Options:
    app: Path = arguments.app
    return Options(
        app=app,
        port=arguments.port,
        database=arguments.db or app / FOLDER / "hub.db",
        state=arguments.state,
        auth=arguments.enable_auth,
        listener=arguments.listener,
    )


async def start(beginning: Beginning) -> int:
    from devhost.host import Host  # noqa: PLC0415 - takes half a second, in which the worker loads the app

    return await Host(beginning).run()


def perform_start(arguments: argparse.Namespace) -> int:
    options = options_from(arguments)
    if arguments.reload:
        from devhost.startup.reloader import Reloader  # noqa: PLC0415 - a plain start needs none of it

        return Reloader(options).run()
    if arguments.lifeline is not None:
        from devhost.startup.reloader import end_with_parent  # noqa: PLC0415 - a plain start needs none of it

        end_with_parent(arguments.lifeline)
    return asyncio.run(start(begin(options)))


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
