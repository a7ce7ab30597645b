"""Which orchestration versions does this host run?"""

import re
from dataclasses import dataclass
from enum import StrEnum

NUMBERS = re.compile(r"\d+(?:\.\d+){1,3}")
MISMATCH = "Orchestration version did not comply with Worker Versioning"


class VersionMatchStrategy(StrEnum):
    NONE = "None"
    STRICT = "Strict"
    CURRENT_OR_OLDER = "CurrentOrOlder"


class VersionFailureStrategy(StrEnum):
    """REJECT leaves the instance unchanged until a host starts that accepts its version; FAIL fails it."""

    REJECT = "Reject"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSettings:
    """`default` is the version of orchestrations that are started without one."""

    default: str | None = None
    match: VersionMatchStrategy = VersionMatchStrategy.CURRENT_OR_OLDER
    failure: VersionFailureStrategy = VersionFailureStrategy.REJECT

    def accepts(self, version: str | None) -> bool:
        match self.match:
            case VersionMatchStrategy.NONE:
                return True
            case VersionMatchStrategy.STRICT:
                return (version or "") == (self.default or "")
            case VersionMatchStrategy.CURRENT_OR_OLDER:
                return not is_newer(version or "", self.default or "")


UNVERSIONED = VersionSettings()


def is_newer(one: str, other: str) -> bool:
    """Compares like the real host: no version sorts first, numbers compare as in .NET (1.0 before 1.0.0), others as
    text.
    """
    one, other = one.strip(), other.strip()
    if not one or not other:
        return bool(one)
    if NUMBERS.fullmatch(one) and NUMBERS.fullmatch(other):
        return numbers(one) > numbers(other)
    return one.upper() > other.upper()


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
