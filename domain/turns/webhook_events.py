"""Who is told that a turn has ended, and how does he know that it is us who tells him?

The form is that of Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks), the events are those of
the OpenAI API: the receivers that its SDKs come with take them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from domain.identity.owners import Owner
from domain.ids import own_token, thread_of
from domain.log.events import ResponseStatus
from domain.turns.response import Response

EVENTS: Final[Mapping[str, ResponseStatus]] = {
    f"response.{status}": status for status in ResponseStatus if status.terminal
}
"""The types of events, and the ending that each tells of."""

DELAYS_S: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between tries, as Standard Webhooks proposes them: ten tries in three days."""

SPREAD: Final = 0.1
"""Which part of a delay is left to chance, so that what failed together does not come again together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoint:
    """A registered address: `tenants` are those whose turns it is told of (empty: all), `events` their endings.

    `secrets` sign each message, all of them: a receiver that knows one believes it. `revision` is raised by an operator
    to have an endpoint called again that had said to be gone.
    """

    name: str
    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    tenants: frozenset[str] = frozenset()
    events: frozenset[ResponseStatus] = frozenset(EVENTS.values())
    background: bool = False
    revision: int = 1

    def wants(self, ended: Response) -> bool:
        theirs = not self.tenants or ended.owner.tenant in self.tenants
        return theirs and ended.status in self.events and (ended.options.background or not self.background)

    @property
    def mark(self) -> str:
        """Return what tells this registration from others of the same name."""
        return hashlib.sha256(f"{self.revision} {self.url}".encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEndpoints:
    """All endpoints by their names. `loopback`: the settings let them lie on this machine."""

    known: Mapping[str, WebhookEndpoint] = field(default_factory=dict[str, WebhookEndpoint])
    loopback: bool = False

    def deliveries(self, ended: Response) -> tuple["WebhookDelivery", ...]:
        """Return what is to be told of a turn that has ended, one for each endpoint."""
        at = ended.progress.ended_at or 0.0
        return tuple(
            WebhookDelivery(
                owner=ended.owner, response=ended.id, status=ended.status, at=at, endpoint=each.name, due_at=at
            )
            for each in self.known.values()
            if each.wants(ended)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookDelivery:
    """What one endpoint is to be told, until it has taken it: that the response ended so `at`.

    `tries` have failed; the next is due at `due_at`. Times are seconds since the epoch.
    """

    owner: Owner
    response: str
    status: ResponseStatus
    at: float
    endpoint: str
    due_at: float
    tries: int = 0

    @property
    def id(self) -> str:
        """Return the message's id, the same for each try and each endpoint."""
        return f"evt_{thread_of(self.response)}{own_token(self.response)}"

    @property
    def body(self) -> bytes:
        told: dict[str, Any] = {
            "id": self.id,
            "object": "event",
            "created_at": int(self.at),
            "type": f"response.{self.status}",
            "data": {"id": self.response},
        }
        return json.dumps(told, separators=(",", ":")).encode()

    def headers(self, secrets: Sequence[bytes], *, now: float) -> dict[str, str]:
        """Return what a receiver judges the body by; a message is signed anew for each try."""
        stamp = str(int(now))
        signed = f"{self.id}.{stamp}.".encode() + self.body
        signatures = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
        return {
            "content-type": "application/json",
            "user-agent": "ganglion-webhooks/1",
            "webhook-id": self.id,
            "webhook-timestamp": stamp,
            "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
        }

    def next_delay_s(self) -> float | None:
        """Return how long after a failed try the next may come; None after the last.

        Each message has a delay of its own, the same in every process that asks.
        """
        if self.tries >= len(DELAYS_S):
            return None
        drawn = hashlib.sha256(f"{self.id} {self.endpoint} {self.tries}".encode()).digest()[0] / 255
        return DELAYS_S[self.tries] * (1 + SPREAD * drawn)

    def to_document(self) -> dict[str, Any]:
        return {
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "of": self.response,
            "ending": self.status.value,
            "ended_at": self.at,
            "endpoint": self.endpoint,
            "at": self.due_at,
            "tries": self.tries,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            owner=Owner(tenant=body["tenant"], subject=body["subject"]),
            response=body["of"],
            status=ResponseStatus(body["ending"]),
            at=body["ended_at"],
            endpoint=body["endpoint"],
            due_at=body["at"],
            tries=body["tries"],
        )
