"""Which versions of orchestrations does this host run?"""

import re
from dataclasses import dataclass
from enum import StrEnum

NUMBERS = re.compile(r"\d+(?:\.\d+){1,3}")
MISMATCH = "Orchestration version did not comply with Worker Versioning"


class Match(StrEnum):
    NONE = "None"
    STRICT = "Strict"
    CURRENT_OR_OLDER = "CurrentOrOlder"


class OnMismatch(StrEnum):
    """A rejected orchestration stays as it is until a host comes that takes its version."""

    REJECT = "Reject"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """`own` is the version of orchestrations that are started without one."""

    own: str | None = None
    match: Match = Match.CURRENT_OR_OLDER
    on_mismatch: OnMismatch = OnMismatch.REJECT

    def accepts(self, version: str | None) -> bool:
        match self.match:
            case Match.NONE:
                return True
            case Match.STRICT:
                return (version or "") == (self.own or "")
            case Match.CURRENT_OR_OLDER:
                return not is_newer(version or "", self.own or "")


UNVERSIONED = Versions()


def is_newer(one: str, other: str) -> bool:
    """As the real host compares: none before any, numbers as .NET reads them (1.0 before 1.0.0), else as text."""
    one, other = one.strip(), other.strip()
    if not one or not other:
        return bool(one)
    if NUMBERS.fullmatch(one) and NUMBERS.fullmatch(other):
        return numbers(one) > numbers(other)
    return one.upper() > other.upper()


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
