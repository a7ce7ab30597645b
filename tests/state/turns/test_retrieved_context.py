"""Is the private data of a turn stored once, and how long is it kept?"""

from copy import replace

import pytest

from domain.sources.catalog import FetchedRows
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from state.turns.retrieved_context import KEPT_S, RetrievedContext
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER
from tests.state.turns.test_responses import response

FIRST = (FetchedRows(source="orders", rows=({"id": "1", "text": "heron"},)),)
OTHER = (FetchedRows(source="orders", rows=({"id": "2", "text": "canoe"},)),)


@pytest.fixture
def turn(clock: FakeClock) -> Response:
    plain = response()
    return replace(plain, deadline_at=clock.now() + 600, options=replace(plain.options, sources=("orders", "letters")))


@pytest.fixture
def context(store: MemoryStore, clock: FakeClock) -> RetrievedContext:
    return TurnStore(store, clock, WebhookEndpoints()).retrieved_context


async def test_what_is_recorded_first_is_read_by_every_attempt(context: RetrievedContext, turn: Response) -> None:
    assert await context.text(turn) is None
    first = await context.record(turn, FIRST)
    assert "heron" in first
    assert await context.record(turn, OTHER) == await context.text(turn) == await context.text_or_missing(turn) == first


async def test_the_rows_go_an_hour_after_the_deadline_and_the_report_stays(
    context: RetrievedContext, turn: Response, clock: FakeClock
) -> None:
    await context.record(turn, FIRST)
    clock.set(turn.latest_deadline_at + KEPT_S - 1)
    assert "heron" in (await context.text(turn) or "")
    clock.advance(1)
    assert await context.text(turn) == ""
    assert await context.record(turn, OTHER) == "", "what is gone is not fetched anew for the same turn"
    [report] = list(await context.source_reports(OWNER, turn.id) or ())
    assert (report["source"], report["rows"], report["ids"]) == ("orders", 1, ["1"])
    assert "heron" not in str(report)


async def test_a_turn_whose_sources_were_not_read_says_so_and_one_without_sources_nothing(
    context: RetrievedContext, turn: Response
) -> None:
    assert await context.text_or_missing(replace(turn, options=replace(turn.options, sources=()))) == ""
    assert await context.source_reports(OWNER, turn.id) is None
    assert await context.text_or_missing(turn) == ""
    reports = await context.source_reports(OWNER, turn.id) or ()
    assert [(each["source"], each["problem"]) for each in reports] == [
        ("orders", "it could not be read in time"),
        ("letters", "it could not be read in time"),
    ]
