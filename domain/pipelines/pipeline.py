"""What is a pipeline: its trigger, the request that its turns make, and where their answers go?"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field

from domain.identity.owners import Owner
from domain.pipelines.queue_trigger import QueueTrigger

COMPLETED_EVENT: Final = "pipeline.completed"
"""The type of the webhook that the sink `webhook` gets, if its `events` name it."""


class TriggerKind(StrEnum):
    CLOUD_EVENTS = "cloudevents"
    SCHEDULE = "schedule"
    QUEUE = "queue"


class SinkKind(StrEnum):
    """Where an answer goes. It stays with its response in any case."""

    NONE = "none"
    WEBHOOK = "webhook"
    CONVERSATION = "conversation"
    QUEUE = "queue"
    BLOB = "blob"


class Sink(Struct, frozen=True, kw_only=True):
    """`target` is the name of a webhook, the id of a conversation of the pipeline's owner, or the address of a place.

    A place is a queue or a container of Azure Storage.
    """

    kind: SinkKind = SinkKind.NONE
    target: str = ""


class PipelineStep(Struct, frozen=True, kw_only=True):
    """One turn of a pipeline: the fields of its request but for the input, as `POST /v1/responses` takes them.

    The only step of a pipeline may have no name.
    """

    body: Mapping[str, Any]
    name: str = ""


class Pipeline(Struct, frozen=True, kw_only=True):
    """One pipeline of the operator's file.

    `owner` is an application: the turns, their costs and their answers are its own. A `schedule` (NCRONTAB, UTC) sends
    `text`; an event sends what the names in `input` lead to. Each of the `steps` continues the turn of the step before
    it, whose answer is its input; there is at least one. What an event says has no authority, unless the pipeline is
    `trusted`. A turn that could cost more than `response_budget` dollars is not begun; the other budgets are for all
    turns of a day and of a month.
    """

    name: str
    owner: Owner
    trigger: TriggerKind
    steps: tuple[PipelineStep, ...]
    schedule: str = ""
    text: str = ""
    input: tuple[str, ...] = ("data",)
    sink: Sink = field(default_factory=Sink)
    trusted: bool = False
    response_budget: Decimal | None = None
    day_budget: Decimal | None = None
    month_budget: Decimal | None = None
    queue: QueueTrigger | None = None

    @property
    def receiver(self) -> str:
        """The name of the endpoint in the outbox that gets the answers; empty where the outbox has no part in it."""
        match self.sink.kind:
            case SinkKind.WEBHOOK:
                return self.sink.target
            case SinkKind.QUEUE | SinkKind.BLOB:
                return f"sink_{self.name}"
            case SinkKind.NONE | SinkKind.CONVERSATION:
                return ""

    @property
    def model(self) -> str:
        """The model of the first step."""
        return self.steps[0].body["model"]

    def is_last(self, step: int) -> bool:
        return step + 1 >= len(self.steps)


class Pipelines(Struct, frozen=True, kw_only=True):
    """All pipelines by name."""

    known: Mapping[str, Pipeline] = field(default_factory=dict[str, Pipeline])

    def of_tenant(self, tenant: str) -> tuple[Pipeline, ...]:
        return tuple(each for each in self.known.values() if each.owner.tenant == tenant)

    def open_to(self, tenant: str, name: str) -> Pipeline | None:
        """Return a pipeline of a tenant; an unknown one and another tenant's are the same: None."""
        found = self.known.get(name)
        return found if found and found.owner.tenant == tenant else None
