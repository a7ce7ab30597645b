"""Does every attempt of a turn read the same private data, whatever dies in between?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from activities.recall import Recall
from activities.retrieve import Retrieve, with_private_data
from clients.orchestrations import turn_wire
from clients.sources.port import SourceError
from clients.sources.reader import SourceReader
from domain.content.items import Item, ItemKind, Role
from domain.errors import GanglionError
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent
from domain.sources.catalog import CallerClaim, Source, SourceKind, SourceQuery, Sources
from domain.turns.response import Response, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER, THREAD

SOURCE = Source(name="orders", kind=SourceKind.HTTP, parameters={"account": CallerClaim.OID}, keywords=2)


class Changing:
    """A source whose rows are others each time; `fails` lets it fail."""

    def __init__(self) -> None:
        self.asked: list[SourceQuery] = []
        self.fails = False

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Mapping[str, Any]]:
        self.asked.append(query)
        if self.fails:
            raise SourceError("it is down")
        return [{"id": f"{source.name}-{len(self.asked)}"}]


async def admitted(turns: TurnStore, clock: FakeClock) -> Response:
    item = Item(id=member_id("msg", thread=THREAD, token=clock.token()), role=Role.USER, text="where is my canoe")
    response = Response(
        id=member_id("resp", thread=THREAD, token=clock.token()),
        owner=OWNER,
        created_at=clock.now(),
        deadline_at=clock.now() + 600,
        input_items=(item.id,),
        options=ResponseOptions(model="model", sources=("orders",)),
    )
    await turns.admit(response, (item,), (LogEvent(kind=EventKind.CREATED),))
    return response


def reading(connector: Changing, clock: FakeClock) -> SourceReader:
    return SourceReader(Sources(known={"orders": SOURCE}), {SourceKind.HTTP: connector}, clock)


@pytest.mark.parametrize("seed", range(60))
async def test_what_was_decided_first_is_read_ever_after(seed: int) -> None:
    clock, connector = FakeClock(), Changing()
    store = MemoryStore(clock)
    response = await admitted(TurnStore(store, clock, WebhookEndpoints()), clock)
    texts: set[str] = set()
    for life in range(12):
        turns = TurnStore(FlakyStore(store, Random(seed * 20 + life), Faults(rate=0.3)), clock, WebhookEndpoints())  # noqa: S311 - a test's seed
        try:
            texts.add(await Retrieve(turns, reading(connector, clock)).text(response))
            texts.add(await turns.retrieved_context.text_or_missing(response))
        except (CrashError, GanglionError):
            continue
    texts.add(await TurnStore(store, clock, WebhookEndpoints()).retrieved_context.text_or_missing(response))
    assert len(texts) == 1


async def test_recall_measures_the_private_data_too() -> None:
    clock, connector = FakeClock(), Changing()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    response = await admitted(turns, clock)
    recalled = await Recall(turns, Retrieve(turns, reading(connector, clock))).recall(turn_wire(response))
    failing = Changing()
    failing.fails = True
    plain = await Recall(turns, Retrieve(turns, reading(failing, clock))).recall(
        turn_wire(await admitted(turns, clock))
    )
    assert recalled["size"]["expected"] > plain["size"]["expected"] + 20
    assert connector.asked[0].keywords == ("where", "canoe")


async def test_a_source_that_fails_leaves_the_turn_without_it_for_good() -> None:
    clock, connector = FakeClock(), Changing()
    connector.fails = True
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    response = await admitted(turns, clock)
    assert await Retrieve(turns, reading(connector, clock)).text(response) == ""
    connector.fails = False
    assert await Retrieve(turns, reading(connector, clock)).text(response) == ""
    accounts = await turns.retrieved_context.source_reports(OWNER, response.id)
    assert accounts is not None
    assert accounts[0]["problem"] == "it is down"


async def test_a_turn_without_sources_asks_nobody() -> None:
    clock, connector = FakeClock(), Changing()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    with_sources = await admitted(turns, clock)
    response = replace(with_sources, options=replace(with_sources.options, sources=()))
    assert await Retrieve(turns, reading(connector, clock)).text(response) == ""
    assert connector.asked == []


def test_private_data_stands_before_what_the_user_said_last() -> None:
    said = Item(id="1", role=Role.USER, text="question")
    output = Item(id="2", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="4")
    assert [item.text for item in with_private_data([said, output], "data")] == ["data", "question", "4"]
    assert [item.text for item in with_private_data([output], "data")] == ["data", "4"]
    assert with_private_data([said], "") == (said,)
