"""Which requests does a backend get beside those that a model answers: its probe, and the count of a prompt?"""

from dataclasses import dataclass
from enum import StrEnum


class ProbeMethod(StrEnum):
    GET = "GET"
    POST = "POST"


class ProbeBody(StrEnum):
    NONE = "none"
    CHAT = "chat"
    """A chat that asks for one token: no server answers it without its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The request that starts a backend and proves that it is up, and what the statuses of its answer mean.

    `path` is relative to the backend's address, or to its origin where it begins with a slash. Statuses that are not
    listed are classified by the failure signatures.
    """

    method: ProbeMethod = ProbeMethod.GET
    path: str = "models"
    body: ProbeBody = ProbeBody.NONE
    up: tuple[int, ...] = (200,)
    starting: tuple[int, ...] = ()
    refused: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounting:
    """Where a backend counts the tokens of a chat that it does not answer, and the `field` of its answer.

    `path` is as that of a probe.
    """

    path: str
    field: str
