"""How is the host started from the command line?"""

import argparse
import asyncio
import sys
from pathlib import Path

from devhost.beginning import Beginning, begin
from devhost.engine.database import DatabaseVersionError
from devhost.engine.lock import DatabaseInUseError
from devhost.http.routes import BadRouteError
from devhost.settings import Options, SettingsError
from devhost.supervisor.messages import AppFailedToLoadError, WorkerLostError
from devhost.timers.ncrontab import BadScheduleError

REFUSALS = (DatabaseInUseError, DatabaseVersionError, SettingsError, BadRouteError, BadScheduleError, OSError)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="devhost", description=__doc__)
    commands = found.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="run a function app until Ctrl-C")
    start.add_argument("--app", type=Path, default=Path(), help="the folder of function_app.py (default: here)")
    start.add_argument("--port", type=int, default=7071, help="the public port on 127.0.0.1, 0 for a free one")
    start.add_argument("--db", type=Path, help="the file of all durable state (default: APP/.devhost/hub.db)")
    start.add_argument("--state", type=Path, help="a JSON file with process ids, port and readiness")
    return found


def options_from(arguments: argparse.Namespace) -> Options:
    app: Path = arguments.app
    return Options(
        app=app,
        port=arguments.port,
        database=arguments.db or app / ".devhost" / "hub.db",
        state=arguments.state,
    )


async def start(beginning: Beginning) -> int:
    from devhost.host import Host  # noqa: PLC0415 - takes half a second, in which the worker loads the app

    return await Host(beginning).run()


def main() -> int:
    options = options_from(parser().parse_args())
    try:
        return asyncio.run(start(begin(options)))
    except AppFailedToLoadError as error:
        print(f"{error}\nThe app could not be loaded.", file=sys.stderr)
    except WorkerLostError:
        print("The worker ended while it loaded the app.", file=sys.stderr)
    except REFUSALS as error:
        print(f"devhost: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
