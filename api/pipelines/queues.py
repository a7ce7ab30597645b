"""How does a message of a queue become a turn?"""

import logging
from typing import Any, Final, cast

from msgspec import Struct

from api.http.json_body import read_object
from api.pipelines.functions import new_run
from api.pipelines.pipeline_turns import PipelineTurns
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.errors import GanglionError, Invalid, Retryable
from domain.pipelines.cloud_events import VERSION, CloudEvent, read_event
from domain.pipelines.event_run import EventRun, RunStatus, event_digest
from domain.pipelines.pipeline import Pipeline
from domain.pipelines.queue_trigger import QueueMessage

log = logging.getLogger(__name__)

NOT_JSON: Final = "the message is not JSON"
LAST_TRY: Final = "the last try of the message failed"
DATA: Final = "data"
WRAPPER: Final = b'{"data":%s}'
"""A message is read as a member of an object, by the reader of all bodies."""


class Queues(Struct, frozen=True, kw_only=True):
    """Begins the turns of messages. A message that has begun its turn is done: the sweep takes the turn further.

    `most_tries` is how often the host gives a message to the function before it goes to the poison queue.
    """

    turns: PipelineTurns
    clock: Clock
    most_tries: int

    async def receive(self, pipeline: Pipeline, message: QueueMessage, orchestrations: Orchestrations) -> EventRun:
        """Begin the turn of a message. What is not JSON is dead at once; raises for a message that is to come again."""
        try:
            event = event_of(pipeline, message)
        except Invalid:
            return await self.turns.refuse(run_of(pipeline, message, None, self.clock), NOT_JSON)
        run = run_of(pipeline, message, event, self.clock)
        try:
            stored = await self.turns.runs.accept(run)
            return await self.begun(stored, orchestrations) if stored.status is RunStatus.OPEN else stored
        except Exception:
            if message.tries >= self.most_tries:
                await self.bury(run)
            raise

    async def begun(self, run: EventRun, orchestrations: Orchestrations) -> EventRun:
        try:
            return await self.turns.advance(run, orchestrations)
        except Retryable as error:
            log.warning(
                "event %s: its turn was not started; the sweeper starts it within a minute: %s", run.digest, error
            )
            return run

    async def bury(self, run: EventRun) -> None:
        """Add a message whose last try has failed to the dead; where the store fails too, the poison queue has it."""
        try:
            await self.turns.refuse(run, LAST_TRY)
        except GanglionError:
            log.exception("event %s could not be recorded as dead: only the poison queue has its message", run.digest)


def event_of(pipeline: Pipeline, message: QueueMessage) -> CloudEvent:
    """Return the CloudEvent that a message is, or one that has it as data; raises Invalid for what is not JSON.

    Event Grid puts its events into queues; an event is the same however often it is put there.
    """
    read = read_object(WRAPPER % message.content, "message")
    if read.keys() != {DATA}:
        raise Invalid(NOT_JSON)
    data: Any = read[DATA]
    if is_cloud_event(data):
        try:
            return read_event(data)
        except Invalid as error:
            log.warning(
                "pipeline %s: a message is not a valid CloudEvent and is read as plain data: %s", pipeline.name, error
            )
    return CloudEvent(source=source_of(pipeline), id=message.id, content={DATA: data})


def is_cloud_event(data: Any) -> bool:
    return isinstance(data, dict) and cast("dict[str, Any]", data).get("specversion") == VERSION


def source_of(pipeline: Pipeline) -> str:
    return f"queue {pipeline.queue.connection} {pipeline.queue.name}" if pipeline.queue else "queue"


def run_of(pipeline: Pipeline, message: QueueMessage, event: CloudEvent | None, clock: Clock) -> EventRun:
    """Return the run of a message; one without an event says nothing."""
    source, identifier = (event.source, event.id) if event else (source_of(pipeline), message.id)
    text = event.part(pipeline.input) or "" if event else ""
    return new_run(pipeline, event_digest(pipeline.name, source, identifier), text, clock)
