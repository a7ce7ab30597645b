"""Does each enabled backend answer a small chat as the fleet file says: probe, tokens, JSON, continuation, speed?

Each check calls the model with the client of the product, so it sees what a turn would see. A backend where an earlier
check fails is left out of the later ones.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from copy import replace
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from clients.backends.port import BackendCall, BackendError, TextPiece
from domain.content.capabilities import Capability
from domain.content.items import Item, Role
from domain.content.tools import OutputFormat, OutputFormatKind, ToolConfig
from domain.fleet.backend_words import backend_words
from domain.fleet.catalog import Backend, ContinuationMode, OutputLimit
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, diagnose
from domain.turns.response import Sampling
from ganglion.doctor.areas.backend_checks import LIST, connects, enabled, endpoint, is_starting, listing, resolves
from ganglion.doctor.areas.identity_checks import authentication_failure
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.subject import NotRunError, Subject

WAIT_S: Final = 60.0
MOST_TOKENS: Final = 64
FEWEST_PIECES: Final = 16
"""Fewer pieces say nothing about a speed."""

SLOW: Final = 0.5
"""A backend that writes slower than this share of the fleet file's speed is named."""

EDIT: Final = "${EDITOR:-vi} fleet.toml"
QUESTION: Final = Item(id="question", role=Role.USER, text="Count from 1 to 20.")
CALL: Final = BackendCall(
    instructions=None, items=(QUESTION,), sampling=Sampling(temperature=0.0), max_output_tokens=MOST_TOKENS
)
SCHEMA: Final = {
    "type": "object",
    "properties": {"number": {"type": "integer"}},
    "required": ["number"],
    "additionalProperties": False,
}
FORMAT: Final = OutputFormat(kind=OutputFormatKind.JSON_SCHEMA, name="number", schema=SCHEMA, strict=True)
JSON_CALL: Final = replace(CALL, tools=ToolConfig(format=FORMAT))
REFUSED: Final = (400, 422)
"""The statuses by which a server refuses a field of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """An answer, or the failure. Times are seconds since the call."""

    text: str = ""
    pieces: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    failure: Failure | None = None

    @property
    def tokens_s(self) -> float | None:
        """The speed of writing; None for an answer that is too short or came as a whole."""
        if self.pieces < FEWEST_PIECES or self.last_s <= self.first_s:
            return None
        return (self.pieces - 1) / (self.last_s - self.first_s)


async def answers(subject: Subject, backend: Backend, call: BackendCall | None) -> ModelAnswer:
    """Return what the backend answers to a call, or to its probe where there is none."""
    clock = asyncio.get_running_loop()
    start, first, last, text, pieces = clock.time(), 0.0, 0.0, "", 0
    async with subject.outside.model(subject.settings, backend) as client:
        try:
            async with asyncio.timeout(WAIT_S):
                if call is None:
                    await client.probe()
                    return ModelAnswer()
                async with client.stream(call) as stream:
                    async for piece in stream:
                        if isinstance(piece, TextPiece):
                            last = clock.time() - start
                            first, text, pieces = first or last, text + piece.text, pieces + 1
        except BackendError as problem:
            return ModelAnswer(failure=problem.failure)
        except TimeoutError:
            return ModelAnswer(failure=Failure(kind=FailureKind.READ_TIMEOUT))
    return ModelAnswer(text=text, pieces=pieces, first_s=first, last_s=last)


async def asked(subject: Subject, backend: Backend, call: BackendCall | None) -> ModelAnswer:
    """Return an answer; all checks share those of one call."""
    name = f"{backend.name} {call is None} {bool(call and call.partial)} {call is JSON_CALL}"
    if name not in subject.answers:
        subject.answers[name] = asyncio.ensure_future(answers(subject, backend, call))
    return await subject.answers[name]


def allowed(subject: Subject) -> Sequence[Backend]:
    """Return the backends that may be called without starting a GPU, unless that is allowed."""
    chosen = [each for each in enabled(subject) if subject.target.starts_gpus or not each.cold_start.scales_to_zero]
    if not chosen:
        raise NotRunError("it may start a GPU; allow it with --start-gpus")
    return chosen


async def is_reached(subject: Subject, backend: Backend) -> bool:
    """Tell whether the backend can be called; another check reports why it cannot."""
    host, port = endpoint(backend.url)
    if await resolves(subject, host) or await connects(subject, host, port):
        return False
    return not await authentication_failure(subject, backend)


async def is_up(subject: Subject, backend: Backend) -> bool:
    return await is_reached(subject, backend) and (await asked(subject, backend, None)).failure is None


async def probe(subject: Subject) -> AsyncIterator[Fault]:
    for backend in allowed(subject):
        if not await is_reached(subject, backend):
            continue
        failure = (await asked(subject, backend, None)).failure
        if failure and not await is_named_by_its_list(subject, backend):
            yield probe_fault(subject, backend, failure)


async def is_named_by_its_list(subject: Subject, backend: Backend) -> bool:
    """Tell whether the probe is the list of models, and the checks of that list name the same failure."""
    answer = await listing(subject, backend) if backend.probe.path == LIST else None
    return answer is not None and answer.status != HTTPStatus.OK and not is_starting(subject, backend, answer)


def probe_fault(subject: Subject, backend: Backend, failure: Failure) -> Fault:
    if refused := refused_field(backend, failure):
        return refused
    found = diagnose(failure, backend.signatures, now=subject.target.now)
    where = f"backends.{backend.name}.probe"
    if found.failure_class is FailureClass.COLD:
        return warning(f"{where}: the backend is starting: {found.reason}", "python -m ganglion doctor --start-gpus")
    text = f"{where}: {backend.probe.method} {backend.probe.path} does not prove that the backend is up: {found.reason}"
    return error(text + said(failure), EDIT)


def said(failure: Failure) -> str:
    words = backend_words(failure)
    return f"; it says {words!r}" if words else ""


async def answer(subject: Subject) -> AsyncIterator[Fault]:
    """Ask for some tokens. A field that the server refuses is named with the setting that leaves it out."""
    for backend in allowed(subject):
        if not await is_up(subject, backend):
            continue
        found = await asked(subject, backend, CALL)
        if found.failure:
            yield answer_fault(subject, backend, found.failure)
        elif not found.text:
            yield error(f"backends.{backend.name}: the backend answers without a text", EDIT)


def refused_field(backend: Backend, failure: Failure) -> Fault | None:
    """Return the fault of a field that the server refuses."""
    words, where = failure.body, f"backends.{backend.name}"
    if failure.status in REFUSED and backend.output_limit.value in words:
        other = next(each for each in OutputLimit if each is not backend.output_limit)
        return error(f'{where}.output_limit: the backend refuses it; set output_limit = "{other.value}"', EDIT)
    if failure.status in REFUSED and backend.sampling and "temperature" in words:
        return error(f"{where}.sampling: the backend refuses temperature; set sampling = []", EDIT)
    return None


def answer_fault(subject: Subject, backend: Backend, failure: Failure) -> Fault:
    found = diagnose(failure, backend.signatures, now=subject.target.now)
    text = f"backends.{backend.name}: the backend does not answer a chat: {found.reason}{said(failure)}"
    return refused_field(backend, failure) or error(text, EDIT)


async def json_answer(subject: Subject) -> AsyncIterator[Fault]:
    for backend in allowed(subject):
        can = subject.fleet.models[backend.model].capabilities - backend.inexpressible
        if Capability.JSON_SCHEMA not in can or not await is_answering(subject, backend):
            continue
        found = await asked(subject, backend, JSON_CALL)
        if found.failure or not is_number(found.text):
            why = "refuses" if found.failure else "does not follow"
            text = f"models.{backend.model}.capabilities: the backend {backend.name} {why} a JSON schema"
            yield error(f"{text}; remove json_schema", EDIT)


def is_number(text: str) -> bool:
    try:
        return isinstance(json.loads(text)["number"], int)
    except (ValueError, TypeError, LookupError):
        return False


async def is_answering(subject: Subject, backend: Backend) -> bool:
    if not await is_up(subject, backend):
        return False
    found = await asked(subject, backend, CALL)
    return found.failure is None and bool(found.text)


async def continuation(subject: Subject) -> AsyncIterator[Fault]:
    """Ask a backend to go on with the first half of its own answer."""
    for backend in allowed(subject):
        if backend.continues is ContinuationMode.NO or not await is_answering(subject, backend):
            continue
        text = (await asked(subject, backend, CALL)).text
        if (await asked(subject, backend, replace(CALL, partial=text[: max(1, len(text) // 2)]))).failure:
            text = f"backends.{backend.name}.continues: the backend refuses to continue an answer"
            yield error(f'{text}; set continues = "no"', EDIT)


async def speed(subject: Subject) -> AsyncIterator[Fault]:
    for backend in allowed(subject):
        if not await is_answering(subject, backend):
            continue
        seen = (await asked(subject, backend, CALL)).tokens_s
        given = backend.speed.decode_tokens_s
        if seen is not None and seen < SLOW * given:
            text = f"backends.{backend.name}.speed: the backend writes {seen:.0f} tokens a second, not {given:.0f}"
            yield warning(f"{text}; correct decode_tokens_s", EDIT)


async def achievement(subject: Subject, backend: Backend) -> str:
    """Return what a backend without a finding has shown; a check that was not allowed shows nothing."""
    if backend.cold_start.scales_to_zero and not subject.target.starts_gpus:
        return "its address and credentials are good; --start-gpus asks it for an answer"
    found = await asked(subject, backend, CALL)
    pace = "" if found.tokens_s is None else f", {found.tokens_s:.0f} tokens a second"
    return f"it answers, first text after {found.first_s:.1f} s{pace}"
