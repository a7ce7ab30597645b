"""When may a turn begin that waits in the line of its conversation, and how long does it wait for its next try?"""

from copy import replace

import pytest

from activities.enter import ENTERED, EXPIRED, LONGEST_WAIT_S, SHORTEST_WAIT_S, Enter, wait_s
from domain import wire
from domain.errors import Terminal
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from state.turns.cached_answers import CachedAnswers
from tests.checks import every
from tests.fakes.worlds import OWNER
from tests.state.turns.places import CREATED, Place


class Line(Place):
    """A conversation with a turn that runs, and one that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.refusal: Terminal | None = None
        answers = CachedAnswers(self.turns, self.clock)
        self.step = Enter(turns=self.turns, answers=answers, plan=self.plan, clock=self.clock)

    async def begin(self) -> None:
        self.spoken = await self.conversation("before")
        self.running = await self.admitted(self.spoken, "one")
        response, item = await self.asked(self.spoken, "two")
        self.waiting = replace(response, history=replace(response.history, waits_for=self.running.id))
        await self.turns.admit(self.waiting, (item,), CREATED)

    async def plan(self, response: Response) -> Response:
        """Return the turn with the conversation as it stands now."""
        if self.refusal:
            raise self.refusal
        entry = (await self.conversations.read(OWNER, self.spoken.id)).next_entry
        return replace(response, history=replace(response.history, waits_for=None, reads_before=entry))

    async def enter(self, response: Response, waits: int = 0) -> wire.EnteredWire:
        request: wire.EnterWire = {
            "response": response.id,
            "tenant": OWNER.tenant,
            "subject": OWNER.subject,
            "traceparent": "",
            "waits": waits,
        }
        return await self.step.enter(request)


@pytest.fixture
async def line() -> Line:
    made = Line()
    await made.begin()
    return made


async def test_a_turn_waits_longer_and_longer_while_another_runs_and_then_enters_once(line: Line) -> None:
    delays = [(await line.enter(line.waiting, waits))["delay_s"] for waits in range(3)]
    assert delays == [0.5, 0.75, 1.125]
    await line.turns.finish(OWNER, line.running.id, status=ResponseStatus.COMPLETED)
    for _ in range(2):
        assert await line.enter(line.waiting) == ENTERED
    assert (await line.conversations.read(OWNER, line.spoken.id)).running == line.waiting.id


async def test_no_wait_is_longer_than_the_turn_has_left(line: Line) -> None:
    line.clock.set(line.waiting.deadline_at - 0.2)
    assert (await line.enter(line.waiting))["delay_s"] == pytest.approx(0.2)
    line.clock.set(line.waiting.deadline_at)
    expired = await line.enter(line.waiting)
    assert (expired["code"], expired["message"]) == ("server_error", EXPIRED)


async def test_a_turn_that_cannot_begin_any_more_says_why(line: Line) -> None:
    await line.turns.finish(OWNER, line.running.id, status=ResponseStatus.COMPLETED)
    line.refusal = Terminal("The conversation exceeds every context window.")
    refused = await line.enter(line.waiting)
    assert (refused["code"], refused["message"]) == ("invalid_prompt", str(line.refusal))


async def test_a_turn_that_waits_for_nothing_or_has_begun_enters_at_once(line: Line) -> None:
    assert await line.enter(line.running) == ENTERED
    await line.turns.begin(OWNER, line.running.id, execution="run")
    line.clock.set(line.running.deadline_at)
    assert await line.enter(line.running) == ENTERED


def test_a_wait_is_bounded_however_often_a_turn_has_waited() -> None:
    assert (wait_s(0), wait_s(10**9)) == (SHORTEST_WAIT_S, LONGEST_WAIT_S)
    assert every(wait_s(waits) <= wait_s(waits + 1) for waits in range(40))
