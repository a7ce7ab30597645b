"""Which webhook endpoints get an event when a turn ends, and how is the event signed and retried?

Messages follow Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks). Events are those of the
OpenAI API, so that the webhook receivers in its SDKs accept them.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Self

from msgspec import Struct, field

from domain.identity.owners import Owner
from domain.ids import member_id, own_token, thread_of
from domain.log.events import ResponseStatus
from domain.pipelines.pipeline import COMPLETED_EVENT, SinkKind
from domain.pipelines.pipeline_use import PipelineUse
from domain.turns.response import Response
from domain.values import Discreet

EVENTS: Final[Mapping[str, ResponseStatus]] = {
    f"response.{status}": status for status in ResponseStatus if status.is_terminal
}
"""The event types, and the final status that each one reports."""

BATCH_EVENTS: Final = ("batch.completed", "batch.failed", "batch.expired", "batch.cancelled")
"""The event types of batches: an endpoint gets those that its `events` name."""

ACTION_REQUIRED: Final = "agent.session.action_required"
"""The event type of requests for an approval: an endpoint gets it where its `events` name it."""

DELAYS_S: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between tries, as Standard Webhooks recommends: ten tries in three days."""

JITTER: Final = 0.1
"""The random share of a delay, so that messages that failed together are not retried together."""


class WebhookEndpoint(Discreet, frozen=True, kw_only=True):
    """A registered receiver: a webhook, or another `kind` of place.

    It gets the events of the turns of `tenants` (empty: all) that end with one of `events`. Each message has one
    signature for each of `secrets`; a receiver needs to know one of them. An operator raises `revision` to enable an
    endpoint again after it answered 410 Gone.
    """

    concealed: ClassVar = ("secrets",)

    name: str
    url: str
    secrets: tuple[bytes, ...]
    tenants: frozenset[str] = frozenset()
    events: frozenset[ResponseStatus] = frozenset(EVENTS.values())
    budget_events: frozenset[str] = frozenset()
    batch_events: frozenset[str] = frozenset()
    pipeline_events: frozenset[str] = frozenset()
    action_events: frozenset[str] = frozenset()
    background: bool = False
    revision: int = 1
    kind: SinkKind = SinkKind.WEBHOOK

    def serves(self, tenant: str) -> bool:
        return not self.tenants or tenant in self.tenants

    def names(self, event: str) -> bool:
        return event in self.budget_events | self.batch_events | self.action_events | self.pipeline_events

    def wants(self, ended: Response) -> bool:
        if ended.options.pipeline:
            return self.wants_answer(ended, ended.options.pipeline)
        theirs = self.serves(ended.owner.tenant) and not ended.options.batch
        return theirs and ended.status in self.events and (ended.options.background or not self.background)

    def wants_answer(self, ended: Response, use: PipelineUse) -> bool:
        """Tell whether the answer of a pipeline goes to this endpoint."""
        named = self.name == use.webhook and self.names(COMPLETED_EVENT) and self.serves(ended.owner.tenant)
        return named and ended.status is ResponseStatus.COMPLETED

    @property
    def fingerprint(self) -> str:
        """A hash that identifies this registration among others of the same name."""
        return hashlib.sha256(f"{self.revision} {self.url}".encode()).hexdigest()[:24]


class WebhookEndpoints(Struct, frozen=True, kw_only=True):
    """All endpoints by name. `loopback`: the settings allow endpoints on this machine."""

    known: Mapping[str, WebhookEndpoint] = field(default_factory=dict[str, WebhookEndpoint])
    loopback: bool = False

    def wanting(self, tenant: str, event: str) -> tuple[WebhookEndpoint, ...]:
        """Return the endpoints that get an event type of a tenant's budgets or batches."""
        return tuple(each for each in self.known.values() if each.names(event) and each.serves(tenant))

    def action_deliveries(self, turn: Response, request: str, *, at: float) -> tuple["WebhookDelivery", ...]:
        """Return the deliveries that announce that a turn asks for approvals; `request` is the first of them."""
        data = {"id": turn.id, "required_action": {"type": "mcp_approval_request"}}
        return tuple(
            WebhookDelivery(
                owner=turn.owner,
                response=announced_as(request),
                status=None,
                at=at,
                endpoint=each.name,
                due_at=at,
                event={"type": ACTION_REQUIRED, "data": data},
            )
            for each in self.wanting(turn.owner.tenant, ACTION_REQUIRED)
        )

    def deliveries(self, ended: Response) -> tuple["WebhookDelivery", ...]:
        """Return the deliveries for a turn that has ended, one for each endpoint that wants it."""
        at = ended.progress.ended_at or 0.0
        return tuple(
            WebhookDelivery(
                owner=ended.owner,
                response=ended.id,
                status=ended.status,
                at=at,
                endpoint=each.name,
                due_at=at,
                event=answer_event(ended),
            )
            for each in self.known.values()
            if each.wants(ended)
        )


class WebhookDelivery(Struct, frozen=True, kw_only=True):
    """One message to one endpoint: the response ended with `status` at `at`, or an `event` happened.

    An event of a budget, a batch or an approval has its `type` and its `data`, and no status; `response` is an id that
    only its key contains. `tries` counts failed tries; the next try is due at `due_at`. Times are seconds since the
    epoch.
    """

    owner: Owner
    response: str
    status: ResponseStatus | None
    at: float
    endpoint: str
    due_at: float
    tries: int = 0
    event: Mapping[str, Any] | None = None

    @property
    def id(self) -> str:
        """The message's id, which is the same for each try and each endpoint."""
        return f"evt_{thread_of(self.response)}{own_token(self.response)}"

    @property
    def body(self) -> bytes:
        event: dict[str, Any] = {
            "id": self.id,
            "object": "event",
            "created_at": int(self.at),
            **(self.event or {"type": f"response.{self.status}", "data": {"id": self.response}}),
        }
        return json.dumps(event, separators=(",", ":")).encode()

    def headers(self, secrets: Sequence[bytes], *, now: float) -> dict[str, str]:
        """Return the headers of one try, with a new timestamp and signature."""
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
        """Return the delay between a failed try and the next; None after the last try.

        The delay is derived from the message, so that every process computes the same one.
        """
        if self.tries >= len(DELAYS_S):
            return None
        drawn = hashlib.sha256(f"{self.id} {self.endpoint} {self.tries}".encode()).digest()[0] / 255
        return DELAYS_S[self.tries] * (1 + JITTER * drawn)

    def to_document(self) -> dict[str, Any]:
        return {
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "of": self.response,
            "ending": self.status.value if self.status else None,
            "ended_at": self.at,
            "endpoint": self.endpoint,
            "at": self.due_at,
            "tries": self.tries,
            **({"event": dict(self.event)} if self.event else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            owner=Owner(tenant=body["tenant"], subject=body["subject"]),
            response=body["of"],
            status=ResponseStatus(body["ending"]) if body["ending"] else None,
            at=body["ended_at"],
            endpoint=body["endpoint"],
            due_at=body["at"],
            tries=body["tries"],
            event=body.get("event"),
        )


def answer_event(ended: Response) -> Mapping[str, Any] | None:
    """Return the type and the data of the end of a pipeline's turn; None for every other turn."""
    use = ended.options.pipeline
    return {"type": COMPLETED_EVENT, "data": {"id": ended.id, "pipeline": use.name}} if use else None


def announced_as(request: str) -> str:
    """Return the id under which a request for an approval is announced to webhooks; no response has it."""
    return member_id("resp", thread=thread_of(request) or "", token=own_token(request))
