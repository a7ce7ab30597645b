"""How does `python -m ganglion doctor` choose the application, run the checks and print the findings?"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clients.clock import Clock, SystemClock
from ganglion.doctor.areas.model_checks import achievement
from ganglion.doctor.checks import CHECKS
from ganglion.doctor.findings import Fault, Result, Severity, redacted, result_of
from ganglion.doctor.outside import RealOutside, UnreachableError, az_json
from ganglion.doctor.subject import ON_AZURE, NotRunError, Subject, Target
from settings import ROOT
from standins.cluster import run_record
from standins.cluster.local_settings import APP_SETTINGS, read_document

DEFAULT_PORT: Final = "7071"
TOKEN: Final = "GANGLION_ACCESS_TOKEN"  # noqa: S105 - the name of a variable, no secret
IDENTITY: Final = ("IDENTITY_ENDPOINT", "IDENTITY_HEADER")
"""What the SDK of the managed identity reads from the process's own environment."""

GRANTS: Final = frozenset(
    {
        *("identity.managed", "identity.google_sts", "identity.google_iam", "identity.aws_sts"),
        *("backends.authenticate", "store.access", "store.containers", "blobs.access", "app.ready"),
    }
)
"""The checks that fail while a role has not arrived everywhere."""

AGAIN_S: Final = 20.0

MARKS: Final = {Severity.ERROR: "error  ", Severity.WARNING: "warning"}


class UsageError(Exception):
    """The application that was asked for cannot be examined; the message says what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--app",
        default="",
        metavar="NAME",
        help="examine a function app in Azure; the doctor reads its settings with az",
    )
    parser.add_argument("--json", action="store_true", help="print the results as one JSON object")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="repeat the checks for this time while only roles are missing; a new role needs up to 10 minutes",
    )
    parser.add_argument(
        "--start-gpus", action="store_true", help="allow checks that may start a GPU, which costs money"
    )


def run(options: argparse.Namespace) -> int:
    """Examine the application; return 0 without an error, 1 with one, 2 where it cannot be examined."""
    clock = SystemClock()
    try:
        target = target_of(options, os.environ, clock)
    except UsageError as problem:
        sys.stderr.write(f"doctor: {problem}\n")
        return 2
    os.environ.update({name: target.variables[name] for name in IDENTITY if name in target.variables})
    outside = RealOutside(clock)
    results, lines = asyncio.run(examined(lambda: Subject(target, outside), clock, wait_s=options.wait))
    sys.stdout.write(as_json(results, target) if options.json else as_text(results, target, lines))
    return int(any(fault.severity is Severity.ERROR for result in results for fault in result.faults))


async def examined(
    make_subject: Callable[[], Subject],
    clock: Clock,
    *,
    wait_s: float = 0.0,
    say: Callable[[str], object] = sys.stderr.write,
) -> tuple[Sequence[Result], Sequence[str]]:
    """Return the results of all checks, and a line about each backend without a finding.

    While the only errors are those of a role that has not arrived, examine again for `wait_s` seconds at most.
    """
    ends_at = clock.now() + wait_s
    while True:
        subject = make_subject()
        results = await examine(subject)
        missing, left_s = missing_grants(results), ends_at - clock.now()
        if not missing or left_s <= 0:
            return results, await backend_lines(subject, results)
        say(
            f"doctor: {', '.join(missing)}: a new role is in force after up to 10 minutes; repeating the checks "
            f"({left_s:.0f} s left)\n"
        )
        await clock.sleep(min(AGAIN_S, left_s))


def missing_grants(results: Sequence[Result]) -> Sequence[str]:
    """Return the checks with errors where all of them look like a missing role; else nothing."""
    failed = [each.check.name for each in results if any(fault.severity is Severity.ERROR for fault in each.faults)]
    return failed if set(failed) <= GRANTS else ()


async def examine(subject: Subject) -> Sequence[Result]:
    """Run all checks at the same time; the results have the order of the checks."""
    return await asyncio.gather(*(result_of(check, subject) for check in CHECKS))


def target_of(options: argparse.Namespace, environment: Mapping[str, str], clock: Clock) -> Target:
    local = local_settings(environment)
    if options.app:
        variables, address = (
            {**azure_settings(options.app), ON_AZURE: "doctor"},
            f"https://{options.app}.azurewebsites.net",
        )
    else:
        variables = {**local, **environment}
        address = f"http://127.0.0.1:{port_of(environment)}" if is_running(environment) else ""
    return Target(
        root=ROOT,
        variables=variables,
        now=clock.now(),
        python=(sys.version_info.major, sys.version_info.minor),
        app=options.app,
        address=address,
        token=environment.get(TOKEN, ""),
        starts_gpus=options.start_gpus,
    )


def port_of(environment: Mapping[str, str]) -> int:
    text = environment.get("PORT") or DEFAULT_PORT
    if not text.isdecimal():
        raise UsageError(f"PORT={text} is not a port number")
    return int(text)


def is_running(environment: Mapping[str, str]) -> bool:
    record = run_record.running(port_of(environment))
    return record is not None and record["devhost"] is not None


def local_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the settings of the application that `make run` serves on PORT, else those of local.settings.json."""
    record = run_record.running(port_of(environment))
    candidates = [Path(record["data"]) / APP_SETTINGS] if record else []
    candidates.append(ROOT / "local.settings.json")
    file = next((path for path in candidates if path.is_file()), None)
    return {name: str(value) for name, value in read_document(file)["Values"].items()} if file else {}


def azure_settings(app: str) -> Mapping[str, str]:
    """Return the settings of a function app in Azure, with the rights of the person who is signed in to az."""
    query = f"[?name=='{app}'].resourceGroup | [0]"
    try:
        group = az_json("functionapp", "list", "--query", query)
        if not isinstance(group, str):
            raise UsageError(f"the subscription has no function app {app!r}; choose one with `az account set`")
        listed: Any = az_json("functionapp", "config", "appsettings", "list", "--name", app, "--resource-group", group)
    except UnreachableError as problem:
        raise UsageError(f"--app: {problem}") from None
    return {str(each["name"]): str(each["value"] or "") for each in listed}


def as_json(results: Sequence[Result], target: Target) -> str:
    found = {
        "checks": [
            {
                "name": result.check.name,
                "status": status_of(result),
                "doc": result.check.doc,
                **({"reason": redacted(result.not_run, target.variables)} if result.not_run else {}),
                "findings": [
                    {
                        "severity": fault.severity.value,
                        "fault": redacted(fault.text, target.variables),
                        "fix": redacted(fault.fix, target.variables),
                    }
                    for fault in result.faults
                ],
            }
            for result in results
        ]
    }
    return json.dumps(found, indent=2) + "\n"


def status_of(result: Result) -> str:
    if result.not_run:
        return "not run"
    return max((fault.severity.value for fault in result.faults), key=("warning", "error").index, default="passed")


async def backend_lines(subject: Subject, results: Sequence[Result]) -> Sequence[str]:
    """Return what each backend without a finding did."""
    faults = [fault.text for result in results for fault in result.faults]
    try:
        backends = subject.backends
    except NotRunError:
        return ()
    named = {each.name: (f"backends.{each.name}.", f"backends.{each.name}:") for each in backends}
    healthy = [each for each in backends if not any(text.startswith(named[each.name]) for text in faults)]
    return [f"passed   backends.{each.name}: {await achievement(subject, each)}" for each in healthy]


def as_text(results: Sequence[Result], target: Target, backends: Sequence[str] = ()) -> str:
    """Return the findings, the lines about backends, and a summary."""
    lines = [*backends]
    lines += [line for result in results for fault in result.faults for line in fault_lines(result, fault)]
    lines += not_run_lines(results)
    counts = [status_of(result) for result in results]
    summary = ", ".join(f"{counts.count(status)} {label}" for status, label in SUMMARY)
    return redacted("\n".join([*lines, f"{len(results)} checks: {summary}"]) + "\n", target.variables)


SUMMARY: Final = (("passed", "passed"), ("warning", "with warnings"), ("error", "with errors"), ("not run", "not run"))


FEW: Final = 3
"""More checks that did not run for the same reason are counted instead of listed."""


def not_run_lines(results: Sequence[Result]) -> Sequence[str]:
    """Return a line for each check that did not run; one for all of the same reason, where they are many."""
    by_reason: dict[str, list[str]] = {}
    for result in results:
        if result.not_run:
            by_reason.setdefault(result.not_run, []).append(result.check.name)
    lines: list[str] = []
    for reason, names in by_reason.items():
        shown = names if len(names) <= FEW else [f"{len(names)} checks, listed by --json"]
        lines += [f"not run  {name}: {reason}" for name in shown]
    return lines


def fault_lines(result: Result, fault: Fault) -> Sequence[str]:
    indent = " " * len(MARKS[fault.severity])
    return (
        f"{MARKS[fault.severity]}  {result.check.name}: {fault.text}",
        f"{indent}  fix: {fault.fix}",
        f"{indent}  see: {result.check.doc}",
    )
