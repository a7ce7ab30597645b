"""What does a check report?"""

import re
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ganglion.doctor.subject import NotRunError, Subject

SECRET_NAME: Final = re.compile(r"KEY|SECRET|TOKEN$|PASSWORD|CONNECTION|HEADER")
USER_INFO: Final = re.compile(r"(?<=//)[^/@\s'\"]+(?=@)")
SHORTEST_SECRET: Final = 6


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that is wrong, and the command that corrects it."""

    text: str
    fix: str
    severity: Severity = Severity.ERROR


def warning(text: str, fix: str) -> Fault:
    return Fault(text=text, fix=fix, severity=Severity.WARNING)


def error(text: str, fix: str) -> Fault:
    return Fault(text=text, fix=fix)


type Run = Callable[[Subject], Awaitable[Sequence[Fault]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: `name` is area and subject, `doc` is the page that explains it."""

    name: str
    doc: str
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The outcome of a check. `not_run` is the reason why it could not run here; then there are no faults."""

    check: Check
    faults: Sequence[Fault] = ()
    not_run: str = ""


def pure(function: Callable[[Subject], Iterable[Fault]]) -> Run:
    """Return a check that calls nothing outside the process."""

    async def run(subject: Subject) -> Sequence[Fault]:
        return tuple(function(subject))

    return run


def outside(function: Callable[[Subject], AsyncIterable[Fault]]) -> Run:
    """Return a check that calls other services."""

    async def run(subject: Subject) -> Sequence[Fault]:
        return tuple([fault async for fault in function(subject)])

    return run


async def result_of(check: Check, subject: Subject) -> Result:
    try:
        return Result(check=check, faults=await check.run(subject))
    except NotRunError as reason:
        return Result(check=check, not_run=str(reason))


def redacted(text: str, variables: Mapping[str, str]) -> str:
    """Return a text without the values of variables that hold secrets, and without credentials in addresses."""
    secrets = {value for name, value in variables.items() if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return USER_INFO.sub("***", text)
