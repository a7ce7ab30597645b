"""Does each call have its effect once, wherever a turn of two rounds with an approval is killed?"""

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from random import Random

import pytest

from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.events import ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import Budgets
from domain.money.ledger_records import ReservationStatus
from domain.turns.response import Response
from state.money.ledger import Ledger
from state.turns.tool_calls import ToolCalls
from tests.api.tools.approvals.agent_lives import FIRST, KEYED, NOWHERE, READ, SECOND, SERVERS, Lives, Point
from tests.checks import every
from tests.fakes.clocks import in_no_time
from tests.fakes.histories import Noting
from tests.fakes.worlds import OWNER

pytestmark = pytest.mark.slow

IN_PLACE = {"in place": True, "by a second response": False}
SAMPLE, CHUNKS, TWICE = 6, 20, 300
NAMES = [name.removeprefix("shop__") for name, _ in (*FIRST, *SECOND)]


@pytest.fixture
def random() -> Random:
    """The same points in each run; TEST_SEED draws others."""
    return Random(int(os.environ.get("TEST_SEED", "13")))  # noqa: S311 - a run must repeat


def story(points: tuple[Point, ...], *, in_place: bool) -> Lives:
    """Run and judge one story. Its note names the points."""

    async def judged() -> Lives:
        lives = Lives(in_place=in_place)
        await lives.run(*points)
        await judge(lives)
        return lives

    with Noting(f"in_place={in_place} {points}"):
        return in_no_time(judged())


def points_of(*, in_place: bool) -> list[Point]:
    """Return every point of a story that nothing disturbs."""
    (process,) = story((), in_place=in_place).lived
    counts = {"store": len(process.store.calls), "shop": process.requests}
    both = [
        Point(kind, number, is_after)
        for kind, count in counts.items()
        for number in range(count)
        for is_after in (False, True)
    ]
    return [*both, *(Point("step", number) for number in range(process.steps))]


async def judge(lives: Lives) -> None:
    shown = [item for each in lives.made for item in (await lives.turns.transcript(OWNER, each["id"])).items]
    run = [item for item in shown if item.kind is ItemKind.MCP_CALL]
    assert [item.name for item in run] == NAMES
    assert shown[-1].text == "all is done"
    for item in run:
        judge_call(lives, item)
    for response in await lives.responses():
        assert response.status is ResponseStatus.COMPLETED
        await judge_log(lives, response)
    await judge_records(lives)
    await judge_money(lives)


def judge_call(lives: Lives, item: Item) -> None:
    """A write with a key has one effect; another one is unknown only after a death between record and outcome."""
    key = item.approval or item.id
    effects = lives.server.effects[item.name, key]
    if item.name in {KEYED, READ}:
        assert item.status is ItemStatus.COMPLETED
        assert effects == 1 if item.name == KEYED else effects
        return
    assert effects <= 1
    assert (item.status is ItemStatus.INCOMPLETE) == (key in lives.open_at_death)
    assert effects or item.status is ItemStatus.INCOMPLETE


async def judge_log(lives: Lives, response: Response) -> None:
    """What a stream had read at each death is the beginning of what it reads at the end."""
    slots = await lives.turns.slots(OWNER, response.id)
    events = [event for slot in slots for event in slot.events]
    assert [slot.first for slot in slots] == [sum(len(slot.events) for slot in slots[:at]) for at in range(len(slots))]
    for seen in lives.seen.get(response.id, []):
        assert events[: len(seen)] == seen


async def judge_records(lives: Lives) -> None:
    stored = ToolCalls(lives.store, lives.clock)
    records = [record for each in lives.made for record in await stored.of_response(OWNER, each["id"])]
    assert sorted(record.tool for record in records) == sorted(NAMES)
    assert every(record.outcome for record in records)
    assert not await lives.turns.approvals.decided(before=lives.clock.now() + 1)


async def judge_money(lives: Lives) -> None:
    """Nothing is held, and the ledger has what the shop bills: no less, and no more where nothing died."""
    ledger = Ledger(lives.store, lives.clock, Budgets())
    charged = Decimal(0)
    for response in await lives.responses():
        reservation = await ledger.reservation(OWNER, response.id)
        assert reservation
        assert reservation.status is ReservationStatus.SETTLED
        records = await ledger.records(OWNER, response.id)
        assert every(each.charge.status is AttemptStatus.CLOSED for each in records)
        charged += sum((each.charge.cost or Decimal(0) for each in records if each.call), Decimal(0))
    prices = SERVERS.known["shop"].tools
    billed = sum((count * prices[name].price for name, count in lives.server.arrived.items()), Decimal(0))
    assert charged >= billed
    assert lives.deaths or charged == billed


@pytest.mark.parametrize("how", IN_PLACE)
def test_an_undisturbed_turn_has_every_effect_once(how: str) -> None:
    lives = story((), in_place=IN_PLACE[how])
    assert (lives.deaths, sum(lives.server.effects.values())) == (0, len(NAMES))


@pytest.mark.parametrize("how", IN_PLACE)
def test_effects_happen_once_after_a_death_at_a_drawn_point(how: str, random: Random) -> None:
    points = points_of(in_place=IN_PLACE[how])
    assert_deaths(random.sample(points, SAMPLE), in_place=IN_PLACE[how])


def assert_deaths(points: Sequence[Point], *, in_place: bool) -> None:
    """Run a story for each point. A commit that fails by a conflict has nothing to die after."""
    deaths = [story((point,), in_place=in_place).deaths for point in points]
    assert set(deaths) <= {0, 1}
    assert sum(deaths) > len(points) * 0.7


def chunks() -> Iterator[tuple[str, int]]:
    yield from ((how, chunk) for how in IN_PLACE for chunk in range(CHUNKS))


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.parametrize(("how", "chunk"), list(chunks()))
def test_effects_happen_once_after_a_death_at_any_point(how: str, chunk: int) -> None:
    assert_deaths(points_of(in_place=IN_PLACE[how])[chunk::CHUNKS], in_place=IN_PLACE[how])


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", IN_PLACE)
def test_effects_happen_once_after_death_upon_death(how: str, random: Random) -> None:
    points = points_of(in_place=IN_PLACE[how])
    deaths = [story(tuple(random.sample(points, 3)), in_place=IN_PLACE[how]).deaths for _ in range(TWICE)]
    assert sum(deaths) > TWICE


def test_no_point_is_where_nobody_dies() -> None:
    assert NOWHERE not in points_of(in_place=True)
