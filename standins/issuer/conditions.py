"""Which faults, grants and token lifetimes does the issuer simulate?"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from standins.issuer.federation import MEMBER
from standins.json_values import json_list, json_object

HOPS = (
    "discovery",
    "keys",
    "sign-in",
    "managed-identity",
    "sts",
    "allowed-locations",
    "access-token",
    "id-token",
    "google-keys",
    "aws-sts",
)
HANG, GARBAGE = "hang", "garbage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """`faults` makes a hop answer with a status, hang, or answer garbage; the clock is `ahead` by so many seconds.

    `managed_identity` and `provider` say whether they exist; `members` may impersonate the service account. Lifetimes
    are in seconds.
    """

    faults: Mapping[str, str] = field(default_factory=dict[str, str])
    managed_identity: bool = True
    provider: bool = True
    members: tuple[str, ...] = (MEMBER,)
    ahead: float = 0.0
    entra_lifetime: int = 3600
    access_lifetime: int = 3600
    id_lifetime: int = 3600

    def to_json(self) -> dict[str, Any]:
        return {
            "faults": dict(self.faults),
            "managed_identity": self.managed_identity,
            "provider": self.provider,
            "members": list(self.members),
            "ahead": self.ahead,
            "entra_lifetime": self.entra_lifetime,
            "access_lifetime": self.access_lifetime,
            "id_lifetime": self.id_lifetime,
        }


def faults_from(value: Any) -> Mapping[str, str]:
    faults = {str(hop): str(fault) for hop, fault in (json_object(value) or {}).items()}
    for hop, fault in faults.items():
        if hop not in HOPS:
            raise ValueError(f"unknown hop {hop}; choose one of {', '.join(HOPS)}")
        if fault not in {HANG, GARBAGE} and not (fault.isdecimal() and 400 <= int(fault) < 600):  # noqa: PLR2004 - HTTP
            raise ValueError(f"{fault} must be an HTTP error status, {HANG} or {GARBAGE}")
    return faults


def members_from(value: Any) -> tuple[str, ...]:
    return tuple(str(member) for member in json_list(value) or [])


def flag_from(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value} must be true or false")
    return value


READERS: Mapping[str, Callable[[Any], Any]] = {
    "faults": faults_from,
    "managed_identity": flag_from,
    "provider": flag_from,
    "members": members_from,
    "ahead": float,
    "entra_lifetime": int,
    "access_lifetime": int,
    "id_lifetime": int,
}


def changed(conditions: Conditions, changes: Mapping[str, Any]) -> Conditions:
    """Gives the conditions with some of them changed; raises a ValueError that names an invalid one."""
    values: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in READERS:
            raise ValueError(f"unknown condition {name}; choose one of {', '.join(READERS)}")
        try:
            values[name] = READERS[name](value)
        except (TypeError, ValueError) as problem:
            raise ValueError(f"{name}: {problem}") from problem
    return dataclasses.replace(conditions, **values)
