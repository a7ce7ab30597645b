"""Which options start a GPU service that scales to zero?

`python -m standins.cloud_run --start 5 --tail 60 -- python -m standins.scripted --rate 50`: the command behind `--`
starts each instance, and must print the line of a stand-in that is ready.
"""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from standins.clock import now
from standins.cloud_run.instance_bill import InstanceBill
from standins.cloud_run.instance_pool import InstancePool
from standins.cloud_run.invoker_check import GoogleKeySet, InvokerCheck
from standins.cloud_run.launcher import Launcher
from standins.cloud_run.options import OPTION_SPECS, CloudRunOptions, add_options, with_changes
from standins.cloud_run.service import CloudRunService
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin


def main() -> None:
    ours, command = split(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m standins.cloud_run", usage="%(prog)s [option ...] -- command", description="a GPU that sleeps"
    )
    add_options(parser)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--data", type=Path, required=True, help="the folder of its bill and its instances' logs")
    parser.add_argument("--seed", type=int, help="draws the same random starts and tails again")
    parser.add_argument("--spare", action="store_true", help="start a process beforehand: exact starts in scaled time")
    parser.add_argument("--no-auth", action="store_true", help="let everybody in")
    parser.add_argument("--keys", help="where Google's public keys are, for the ID tokens of the callers")
    parser.add_argument("--audience", help="the audience of their tokens; the address of the service by default")
    parser.add_argument("--invoker", action="append", default=[], help="the e-mail of who may call; may come again")
    parser.add_argument("--ahead", type=float, default=0.0, help="seconds that the clock of the service is ahead")
    given = parser.parse_args(ours)
    if not command:
        parser.error("the command of the model is missing behind --")
    if not (given.no_auth or given.keys):
        parser.error("--keys is missing; --no-auth lets everybody in")
    end_with_stdin()
    asyncio.run(serve(service(parser, given, command).application(), given.port))


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    border = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:border], arguments[border + 1 :]


def service(parser: argparse.ArgumentParser, given: argparse.Namespace, command: list[str]) -> CloudRunService:
    chosen = {name: value for name, value in vars(given).items() if name in OPTION_SPECS}
    try:
        options = with_changes(CloudRunOptions(), chosen)
    except ValueError as problem:
        parser.error(str(problem))
    pool = InstancePool(
        options=options,
        launcher=Launcher(command=command, logs=given.data / "logs", spare=given.spare),
        bill=InstanceBill(path=given.data / "bill.json"),
        clock=now,
        random=random.Random(given.seed),  # noqa: S311 - it draws delays, not secrets
    )
    gate = (
        None
        if given.no_auth
        else InvokerCheck(
            keys=GoogleKeySet(given.keys), clock=now, invokers=frozenset(given.invoker), ahead_s=given.ahead
        )
    )
    return CloudRunService(pool=pool, invoker_check=gate, audience=given.audience, clock=now)


if __name__ == "__main__":
    main()
