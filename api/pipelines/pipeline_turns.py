"""How does an event become a turn, once, and where does its answer go?"""

from collections.abc import Sequence
from copy import replace
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from api.parsing.responses_request import TurnRequest, request_from_openai
from api.turns.admission import Admission, opening_events
from api.turns.deliveries import ClaimedRequest, RequestDelivery
from clients.orchestrations import Orchestrations
from domain.content.items import Item, ItemKind
from domain.errors import Exhausted, NotFound, Terminal
from domain.log.events import ResponseStatus
from domain.money.usage import pipeline_origin
from domain.pipelines.event_run import EventRun, RunStatus
from domain.pipelines.event_text import fenced
from domain.pipelines.pipeline import Pipeline, Pipelines, PipelineStep, SinkKind
from domain.pipelines.pipeline_use import PipelineUse
from domain.tools.approval_rules import has_untrusted_result
from domain.turns.response import Response
from state.pipelines.conversation_sink import ConversationSink
from state.pipelines.event_runs import EventRuns
from state.webhook_outbox import DUE, WebhookOutbox

ACCEPTED: Final = "accepted"
"""The outcome of a delivery that its webhook has accepted."""

NOTHING_READ: Final = "the event has no value where the pipeline reads its input"
NO_PIPELINE: Final = "the pipeline is no longer configured"
NO_STEP: Final = "the pipeline no longer has this step"
NO_ANSWER: Final = "the answer of the previous step has no text"
DELETED: Final = "the response was deleted before its answer had arrived"
NO_DELIVERY: Final = RequestDelivery(key="", body_hash="", repeat=False)


class PipelineTurns(Struct, frozen=True, kw_only=True):
    """Takes each run of a pipeline as far as it goes now. Every method is safe to repeat, and to run twice at once."""

    pipelines: Pipelines
    runs: EventRuns
    admission: Admission
    outbox: WebhookOutbox
    conversations: ConversationSink

    async def begin(self, run: EventRun, orchestrations: Orchestrations) -> EventRun:
        """Store the run of an event, and start its turn; an event that has arrived before changes nothing."""
        stored = await self.runs.accept(run)
        return await self.advance(stored, orchestrations) if stored.status is RunStatus.OPEN else stored

    async def refuse(self, run: EventRun, reason: str) -> EventRun:
        """Store the run of an event that can have no turn; one that has begun stays as it is."""
        stored = await self.runs.accept(run)
        return stored if await self.has_turn(stored) else await self.enter(stored, RunStatus.DEAD, reason)

    async def has_turn(self, run: EventRun) -> bool:
        try:
            await self.admission.turns.read(run.owner, run.response)
        except NotFound:
            return False
        return True

    async def advance(self, run: EventRun, orchestrations: Orchestrations) -> EventRun:
        """Start the turn of a run, or bring its answer to the sink where it has ended."""
        pipeline = self.pipelines.known.get(run.pipeline)
        if pipeline is None or run.step >= len(pipeline.steps):
            return await self.enter(run, RunStatus.DEAD, NO_STEP if pipeline else NO_PIPELINE)
        if run.status is RunStatus.DELIVERING:
            return await self.await_webhook(run)
        try:
            turn = await self.turn_of(pipeline, run)
        except Terminal as error:
            self.admission.limits.leave(run.owner, run.response)
            return await self.enter(run, RunStatus.DEAD, reason_of(pipeline, run, str(error)))
        if turn.status is ResponseStatus.QUEUED:
            await orchestrations.start(turn)
        return await self.after_step(pipeline, run, turn, orchestrations) if turn.status.is_terminal else run

    async def after_step(
        self, pipeline: Pipeline, run: EventRun, turn: Response, orchestrations: Orchestrations
    ) -> EventRun:
        if turn.status is ResponseStatus.COMPLETED and not pipeline.is_last(run.step):
            return await self.go_on(run, orchestrations)
        return await self.deliver(pipeline, run, turn)

    async def go_on(self, run: EventRun, orchestrations: Orchestrations) -> EventRun:
        """Begin the step after one that has ended; another process may have done so meanwhile."""

        def moved(stored: EventRun) -> EventRun:
            return stored.next_step() if stored.is_at(run) and stored.status is RunStatus.OPEN else stored

        later = await self.runs.change(run, moved)
        return await self.advance(later, orchestrations) if later.status is RunStatus.OPEN else later

    async def after_turn(self, ended: Response, orchestrations: Orchestrations) -> None:
        """Bring the answer of a turn that has just ended to its sink."""
        use = ended.options.pipeline
        run = await self.runs.find(ended.owner, f"event_{use.name}_{use.event}") if use else None
        if run and run.response == ended.id and run.status is RunStatus.OPEN:
            await self.advance(run, orchestrations)

    async def send_again(self, run: EventRun, orchestrations: Orchestrations) -> EventRun:
        """Deliver the answer of a dead run again, or ask for one by a new turn where there is none."""
        try:
            turn = await self.admission.turns.read(run.owner, run.response)
        except NotFound:
            turn = None
        is_answered = turn is not None and turn.status is ResponseStatus.COMPLETED
        is_kept = is_answered or (turn is not None and not turn.status.is_terminal)
        if turn and is_answered and turn.options.pipeline and turn.options.pipeline.webhook:
            await self.outbox.reopen(run.owner, run.response, turn.options.pipeline.webhook)
            for delivery in await self.outbox.of(run.owner, run.response):
                await orchestrations.start_delivery(delivery)

        def opened(stored: EventRun) -> EventRun:
            if stored.status is not RunStatus.DEAD:
                return stored
            return stored.entered(RunStatus.OPEN) if is_kept else stored.again()

        return await self.advance(await self.runs.change(run, opened), orchestrations)

    async def turn_of(self, pipeline: Pipeline, run: EventRun) -> Response:
        """Return the turn of a run, which is admitted now where it was not before; raises Terminal and Retryable.

        A turn that was deleted does not begin again: its log tells for a day that there was one.
        """
        turns = self.admission.turns
        try:
            return await turns.read(run.owner, run.response)
        except NotFound:
            pass
        try:
            await turns.transcript(run.owner, run.response)
        except NotFound:
            raise NotFound(DELETED) from None
        return await self.admit(pipeline, run)

    async def admit(self, pipeline: Pipeline, run: EventRun) -> Response:
        request = request_of(pipeline, run, await self.input_of(run))
        admission = self.admission
        admission.planner.check_model_choice(request)
        await admission.limits.enter(run.owner, run.response)
        claimed = ClaimedRequest(owner=run.owner, delivery=NO_DELIVERY, response_id=run.response, new_thread=False)
        plan = await admission.plans.plan(run.owner, request, run.response)
        check_budget(pipeline, plan.costs.most)
        if not pipeline.trusted:
            plan = replace(plan, tool_config=replace(plan.tool_config, is_tainted=True))
        use = use_of(pipeline, run)
        cover = await admission.ledger.reserve(
            run.owner, run.response, plan.costs.most, needed=plan.costs.least, origin=pipeline_origin(run.pipeline)
        )
        planned = admission.response(claimed, request, plan, cover)
        response = replace(planned, options=replace(planned.options, pipeline=use))
        return await admission.turns.admit(response, plan.items, opening_events(response))

    async def input_of(self, run: EventRun) -> str:
        """Return what the present step reads: the event, or the answer of the step before; raises NotFound."""
        if not run.step:
            if not run.text:
                raise NotFound(NOTHING_READ)
            return run.text
        before = await self.admission.turns.read(run.owner, run.previous)
        items = await self.admission.turns.items(run.owner, before.progress.output_items)
        text = "\n".join(each.text for each in items if is_answer(each) and each.text)
        if not text:
            raise NotFound(NO_ANSWER)
        return text

    async def deliver(self, pipeline: Pipeline, run: EventRun, turn: Response) -> EventRun:
        """Bring the answer of an ended turn to the sink. A turn without an answer is dead, with the code of its end."""
        if turn.status is not ResponseStatus.COMPLETED:
            log = await self.admission.turns.transcript(turn.owner, turn.id)
            code = f": {log.ending.code}" if log.ending and log.ending.code else ""
            reason = reason_of(pipeline, run, f"the turn ended as {turn.status}{code}")
            return await self.enter(run, RunStatus.DEAD, reason)
        match pipeline.sink.kind:
            case SinkKind.WEBHOOK | SinkKind.QUEUE | SinkKind.BLOB:
                return await self.await_webhook(run)
            case SinkKind.CONVERSATION:
                return await self.add_to_conversation(pipeline, run, turn)
            case SinkKind.NONE:
                return await self.enter(run, RunStatus.DONE)

    async def await_webhook(self, run: EventRun) -> EventRun:
        """Read from the outbox what became of the delivery that the end of the turn has stored there."""
        notes = await self.outbox.of_response(run.owner, run.response)
        if not notes:
            return await self.enter(run, RunStatus.DEAD, "no webhook of this name takes pipeline.completed")
        outcome = notes[0].outcome
        if outcome == DUE:
            return await self.enter(run, RunStatus.DELIVERING)
        if outcome == ACCEPTED:
            return await self.enter(run, RunStatus.DONE)
        return await self.enter(run, RunStatus.DEAD, f"the delivery ended: {outcome}")

    async def add_to_conversation(self, pipeline: Pipeline, run: EventRun, turn: Response) -> EventRun:
        items = await self.admission.turns.items(turn.owner, turn.progress.output_items)
        said = [each for each in items if is_answer(each)]
        try:
            await self.conversations.add(
                turn.owner, pipeline.sink.target, said, key=turn.id, is_tainted=self.is_tainted(turn, items)
            )
        except NotFound as error:
            return await self.enter(run, RunStatus.DEAD, str(error))
        return await self.enter(run, RunStatus.DONE)

    def is_tainted(self, turn: Response, items: Sequence[Item]) -> bool:
        """Tell whether a turn has read what nobody trusts: its event, or a result of a tool."""
        return turn.options.tool_config.is_tainted or has_untrusted_result(items, self.admission.plans.tools.servers)

    async def enter(self, run: EventRun, status: RunStatus, reason: str = "") -> EventRun:
        """Write the status of a run that another process has not finished meanwhile."""

        def entered(stored: EventRun) -> EventRun:
            is_same = stored.is_at(run) and stored.status not in (RunStatus.DONE, RunStatus.DEAD)
            return stored.entered(status, reason) if is_same else stored

        return await self.runs.change(run, entered)


def check_budget(pipeline: Pipeline, worst: Decimal) -> None:
    if pipeline.response_budget is not None and worst > pipeline.response_budget:
        raise Exhausted(f"The turn may cost up to ${worst:f}, more than the pipeline's budget for one response.")


def use_of(pipeline: Pipeline, run: EventRun) -> PipelineUse:
    """Return what a turn knows of its pipeline: the end of the last step alone goes to the outbox."""
    receiver = pipeline.receiver if pipeline.is_last(run.step) else ""
    return PipelineUse(name=run.pipeline, event=run.digest, webhook=receiver, step=pipeline.steps[run.step].name)


def reason_of(pipeline: Pipeline, run: EventRun, reason: str) -> str:
    """Return why a run is dead, with the name of the step that failed."""
    name = pipeline.steps[run.step].name
    return f"step {name}: {reason}" if name else reason


def request_of(pipeline: Pipeline, run: EventRun, text: str) -> TurnRequest:
    """Return the request of the present step of a run, which reads a text and continues the step before.

    What an event says is marked as data, and so is what a model answered, unless the pipeline is trusted. The text of
    a schedule is the operator's.
    """
    is_plain = pipeline.trusted or (bool(pipeline.text) and not run.step)
    read = text if is_plain else fenced(text, run.marker)
    previous = {"previous_response_id": run.previous} if run.step else {}
    return step_request(pipeline.steps[run.step], read, **previous)


def step_request(step: PipelineStep, text: str, **more: str) -> TurnRequest:
    body: dict[str, Any] = {**step.body, **more, "input": text, "background": True}
    return request_from_openai(body)


def is_answer(item: Item) -> bool:
    return item.kind is ItemKind.MESSAGE
