"""How does a line of a batch become a turn, and its turn the answer of its endpoint?"""

import asyncio
import json
from collections.abc import Callable, Mapping
from copy import replace
from typing import Any, Final, cast

from msgspec import Struct

from activities.batches.ports import AdmittedLine, CheckedLine, LineAnswer, LineMistake
from api.endpoints.chat_completions import answer_of_chat
from api.http.errors import response_to
from api.http.json_body import read_object
from api.http.request_body import FILE, FILE_ID, SMALL, InputMemory
from api.parsing.chat_request import request_from_chat
from api.parsing.input_items import ItemReference
from api.parsing.responses_request import TurnRequest, request_from_openai, require_input
from api.rendering.response import openai_from_response
from api.turns.admission import Admission, opening_events
from api.turns.deliveries import ClaimedRequest, RequestDelivery
from api.turns.history import previous_not_found
from api.turns.turn_prompt import prompt_of
from api.uploads.inputs import FileInputs
from api.uploads.measured_files import MeasuredFiles
from domain.batches.batch import ENDPOINTS, Batch
from domain.batches.line_ids import response_id_of
from domain.errors import GanglionError, Invalid, NotFound
from domain.ids import is_response_id
from domain.log.events import EventKind, LogEvent
from domain.log.transcript import Transcript
from domain.money.usage import batch_origin
from domain.tokens.estimates import TokenEstimate, tokens_in_request
from domain.tokens.prompt_texts import NO_TOKENS
from domain.turns.response import Response
from domain.turns.tool_lists import first_events
from state.turns.stored_completions import StoredCompletions

RESPONSES: Final = ENDPOINTS[0]
METHOD: Final = "POST"
CUSTOM_ID_CHARACTERS: Final = 512
ALONE: Final = ("stream", "background")
"""The fields of a body that a line cannot have: nobody follows it."""

NO_DELIVERY: Final = RequestDelivery(key="", body_hash="", repeat=False)

type Json = dict[str, Any]


class LineRequests(Struct, frozen=True, kw_only=True):
    """Reads lines as their endpoint reads its bodies, and admits their turns without counting them as requests."""

    admission: Admission
    files: FileInputs
    measured: MeasuredFiles
    memory: InputMemory
    chats: StoredCompletions

    async def check(self, batch: Batch, content: bytes, *, reads_files: bool) -> CheckedLine | LineMistake:
        """Return what a line asks for, or the first thing that is wrong with it.

        `reads_files`: the files that it names, and what it continues, are looked for in the store.
        """
        try:
            line, left_out = await self.line_of(batch, content, reads_files=reads_files)
            request = await in_thread(content, lambda: request_in(batch, line))
            await self.check_request(batch, request)
            if reads_files:
                await self.check_continued(batch, request)
        except Invalid as error:
            return LineMistake(code=error.code or "invalid_request", message=str(error), param=error.field)
        planner, items = self.admission.planner, [each for each in request.input_items if not is_reference(each)]
        try:
            sources = planner.sources_of(batch.owner, request)
            request = planner.with_rules(batch.owner, request)
            prompt = replace(prompt_of(request, cast("Any", items)), left_out=left_out)
            costs = planner.worst_costs(request, prompt, sources)
        except Invalid as error:
            return mistake_in_body(error)
        return CheckedLine(
            custom_id=line["custom_id"],
            model=request.model,
            worst_cost=costs.most,
            input_tokens=(tokens_in_request(prompt.texts) + left_out).expected,
            output_tokens=planner.output_tokens(request),
        )

    async def line_of(self, batch: Batch, content: bytes, *, reads_files: bool) -> tuple[Json, TokenEstimate]:
        """Return a line without the files that it names, and the tokens of their texts; raises Invalid."""
        line = await in_thread(content, lambda: read_object(content, "line"))
        if FILE_ID not in content or not isinstance(line.get("body"), dict):
            return line, NO_TOKENS
        try:
            return line, await self.measured.take_out(batch.owner, body_of(line), reads=reads_files)
        except Invalid as error:
            raise in_body(error) from None

    async def check_request(self, batch: Batch, request: TurnRequest) -> None:
        """Raise Invalid where no backend, or no server of tools, can serve a request."""
        try:
            self.admission.planner.check_model_choice(request)
            if request.servers or request.server_choices or request.search:
                offer = await self.admission.plans.tools.offered(batch.owner, request)
                self.admission.grants.check_unneeded(offer.config)
        except Invalid as error:
            raise in_body(error) from None

    async def check_continued(self, batch: Batch, request: TurnRequest) -> None:
        """Raise Invalid where the response or the conversation that a line continues does not exist."""
        history, unlocked = self.admission.plans.history, replace(request, ignores_lock=True)
        try:
            if request.conversation:
                await history.in_conversation(batch.owner, request.conversation, unlocked)
            elif request.previous and not is_response_id(request.previous):
                raise previous_not_found(request.previous)
            elif request.previous:
                await history.after_previous(batch.owner, request.previous, unlocked)
        except NotFound as error:
            raise Invalid(str(error), field="body.conversation", code="item_not_found") from None
        except Invalid as error:
            raise in_body(error) from None

    async def admit(self, batch: Batch, line: int, content: bytes) -> AdmittedLine:
        """Record the turn of a line as admission does, but for the claim of its request and the rate limits.

        It has begun at once, as the only execution of the turn; the approved calls of one that answers are begun later.
        """
        request = await self.complete_request(batch, content)
        response_id = response_id_of(batch, line, parent=request.previous or request.conversation)
        claimed = ClaimedRequest(owner=batch.owner, delivery=NO_DELIVERY, response_id=response_id, new_thread=False)
        plan = await self.admission.plans.plan(batch.owner, request, response_id)
        cover = await self.admission.ledger.reserve(
            batch.owner, response_id, plan.costs.most, needed=plan.costs.least, origin=batch_origin(batch.id)
        )
        approved = await self.admission.plans.answers.decide(batch.owner, plan.answers)
        planned = self.admission.response(claimed, request, plan, cover)
        options = replace(planned.options, batch=batch.id)
        deadline_at = min(planned.deadline_at, batch.expires_at) if request.deadline_s else batch.expires_at
        response = replace(
            planned, options=options, deadline_at=deadline_at, traceparent=batch.traceparent, approved=approved
        )
        events = opening_events(response)
        if not approved:
            response = response.begun(execution=response_id, at=response.created_at)
            started = first_events(response, (), self.admission.clock.token)
            events = (*events, LogEvent(kind=EventKind.STARTED), *started)
        turn = await self.admission.turns.admit(response, plan.items, events)
        if batch.request.endpoint != RESPONSES and turn.options.store:
            await self.chats.add(turn)
        return AdmittedLine(turn=turn, is_new=turn is response)

    async def complete_request(self, batch: Batch, content: bytes) -> TurnRequest:
        """Return the request of a line, with the content of the files that it names."""
        with self.memory.share() as share:
            share.grow(len(content))
            named = body_of(await in_thread(content, lambda: read_object(content, "line")))
            body = await self.files.inlined(batch.owner, named, share)
            return await in_thread(content, lambda: request_of(batch.request.endpoint, body))

    def response_id(self, batch: Batch, line: int, content: bytes) -> str:
        body = body_of(json.loads(content))
        parent = body.get("previous_response_id") or body.get("conversation")
        named: Any = cast("Json", parent).get("id") if isinstance(parent, dict) else parent
        return response_id_of(batch, line, parent=named if isinstance(named, str) else None)

    def answer(self, batch: Batch, turn: Response, log: Transcript) -> LineAnswer:
        if batch.request.endpoint == RESPONSES:
            return LineAnswer(status=200, body=openai_from_response(turn, log))
        answer = answer_of_chat(turn, log)
        return LineAnswer(status=answer.status_code, body=json.loads(bytes(answer.body)))

    def refusal(self, error: GanglionError) -> LineAnswer:
        answer = response_to(error)
        return LineAnswer(status=answer.status_code, body=json.loads(bytes(answer.body)))


async def in_thread[T](content: bytes, read: Callable[[], T]) -> T:
    """Read a large content in a thread, and a small one at once."""
    if len(content) <= SMALL and FILE not in content:
        return read()
    return await asyncio.to_thread(read)


def request_in(batch: Batch, line: Json) -> TurnRequest:
    """Return the turn that a line requests; raises Invalid naming what is wrong."""
    custom_id = line.get("custom_id")
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= CUSTOM_ID_CHARACTERS:
        message = f"Invalid 'custom_id': expected a text of 1 to {CUSTOM_ID_CHARACTERS} characters."
        raise Invalid(message, field="custom_id", code=missing_or_wrong(line, "custom_id"))
    for name, wanted in (("method", METHOD), ("url", batch.request.endpoint)):
        if line.get(name) != wanted:
            message = f"Invalid '{name}': expected {wanted}, the one of the batch."
            raise Invalid(message, field=name, code=missing_or_wrong(line, name))
    if not isinstance(line.get("body"), dict):
        raise Invalid("Invalid 'body': expected an object.", field="body", code=missing_or_wrong(line, "body"))
    body = body_of(line)
    for name in ALONE:
        if body.get(name):
            message = f"Invalid 'body.{name}': a line of a batch has one answer, in the output file."
            raise Invalid(message, field=f"body.{name}", code="invalid_value")
    try:
        return request_of(batch.request.endpoint, body)
    except Invalid as error:
        raise in_body(error) from None


def missing_or_wrong(line: Mapping[str, Any], name: str) -> str:
    return "missing_required_parameter" if line.get(name) is None else "invalid_value"


def body_of(line: Mapping[str, Any]) -> Json:
    return line["body"]


def request_of(endpoint: str, body: Json) -> TurnRequest:
    """Return the turn that a body requests; raises Invalid."""
    if endpoint != RESPONSES:
        return request_from_chat(body).turn
    request = request_from_openai(body)
    require_input(request)
    return request


def is_reference(item: object) -> bool:
    return isinstance(item, ItemReference)


def in_body(error: Invalid) -> Invalid:
    """Return an error of a request that names the field in its line."""
    return Invalid(str(error), field=f"body.{error.field}" if error.field else "body", code=error.code)


def mistake_in_body(error: Invalid) -> LineMistake:
    named = in_body(error)
    return LineMistake(code=named.code or "invalid_request", message=str(named), param=named.field)
