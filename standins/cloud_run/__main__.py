"""Which options start a GPU service that scales to zero?

`python -m standins.cloud_run --start 5 --tail 60 -- python -m standins.scripted --rate 50`: the command after `--`
starts each instance. It must print the ready line of a stand-in.
"""

import argparse
import asyncio
import random
import sys
from pathlib import Path

from standins.clock import now
from standins.cloud_run.admin_api import EditorCheck
from standins.cloud_run.instance_bill import InstanceBill
from standins.cloud_run.instance_pool import InstancePool
from standins.cloud_run.invoker_check import GoogleKeySet, InvokerCheck
from standins.cloud_run.launcher import Launcher
from standins.cloud_run.options import OPTION_SPECS, CloudRunOptions, add_options, with_changes
from standins.cloud_run.service import CloudRunService
from standins.processes.http_server import serve
from standins.processes.parent_watch import end_with_stdin


def main() -> None:
    own, command = split(sys.argv[1:])
    parser = argparse.ArgumentParser(
        prog="python -m standins.cloud_run",
        usage="%(prog)s [option ...] -- command",
        description="a GPU service that scales to zero",
    )
    add_options(parser)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--data", type=Path, required=True, help="folder for the bill and the logs of the instances")
    parser.add_argument("--seed", type=int, help="seed of the random start-up and idle times")
    parser.add_argument(
        "--spare", action="store_true", help="start one process in advance, so that scaled start-up times are exact"
    )
    parser.add_argument("--no-auth", action="store_true", help="accept every caller")
    parser.add_argument("--keys", help="URL of Google's public keys, which verify the ID tokens of the callers")
    parser.add_argument("--audience", help="audience of the ID tokens; by default the address of the service")
    parser.add_argument(
        "--invoker", action="append", default=[], help="e-mail address of a permitted caller; repeatable"
    )
    parser.add_argument(
        "--editor",
        action="append",
        default=[],
        help="e-mail address of a caller that may set the instance count; by default all permitted callers",
    )
    parser.add_argument("--ahead", type=float, default=0.0, help="seconds by which the service's clock is ahead")
    chosen = parser.parse_args(own)
    if not command:
        parser.error("the command of the model is missing; add it after --")
    if not (chosen.no_auth or chosen.keys):
        parser.error("--keys is missing; set it, or accept every caller with --no-auth")
    end_with_stdin()
    asyncio.run(serve(service(parser, chosen, command).application(), chosen.port))


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:end], arguments[end + 1 :]


def service(parser: argparse.ArgumentParser, chosen: argparse.Namespace, command: list[str]) -> CloudRunService:
    texts = {name: value for name, value in vars(chosen).items() if name in OPTION_SPECS}
    try:
        options = with_changes(CloudRunOptions(), texts)
    except ValueError as problem:
        parser.error(str(problem))
    pool = InstancePool(
        options=options,
        launcher=Launcher(command=command, logs=chosen.data / "logs", spare=chosen.spare),
        bill=InstanceBill(path=chosen.data / "bill.json"),
        clock=now,
        draws=random.Random(chosen.seed),  # noqa: S311 - it draws delays, not secrets
    )
    invoker_check = (
        None
        if chosen.no_auth
        else InvokerCheck(
            keys=GoogleKeySet(chosen.keys), clock=now, invokers=frozenset(chosen.invoker), ahead_s=chosen.ahead
        )
    )
    editor_check = (
        None
        if chosen.no_auth
        else EditorCheck(keys=GoogleKeySet(chosen.keys), clock=now, editors=frozenset(chosen.editor or chosen.invoker))
    )
    return CloudRunService(
        pool=pool, invoker_check=invoker_check, audience=chosen.audience, clock=now, editor_check=editor_check
    )


if __name__ == "__main__":
    main()
