"""Does every attempt of a turn read the same private data, even if its process dies between them?"""

from collections.abc import Mapping, Sequence
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


class ChangingSource:
    """A source with other rows at each read; with `fails` it raises."""

    def __init__(self) -> None:
        self.queries: list[SourceQuery] = []
        self.fails = False

    async def rows(self, source: Source, query: SourceQuery) -> Sequence[Mapping[str, Any]]:
        self.queries.append(query)
        if self.fails:
            raise SourceError("it is down")
        return [{"id": f"{source.name}-{len(self.queries)}"}]


async def admit(turns: TurnStore, clock: FakeClock, *, sources: tuple[str, ...] = ("orders",)) -> Response:
    item = Item(id=member_id("msg", thread=THREAD, token=clock.token()), role=Role.USER, text="where is my canoe")
    response = Response(
        id=member_id("resp", thread=THREAD, token=clock.token()),
        owner=OWNER,
        created_at=clock.now(),
        deadline_at=clock.now() + 600,
        input_items=(item.id,),
        options=ResponseOptions(model="model", sources=sources),
    )
    await turns.admit(response, (item,), (LogEvent(kind=EventKind.CREATED),))
    return response


def reader_of(connector: ChangingSource, clock: FakeClock) -> SourceReader:
    return SourceReader(Sources(known={"orders": SOURCE}), {SourceKind.HTTP: connector}, clock)


@pytest.mark.parametrize("seed", range(60))
async def test_the_text_that_was_recorded_first_is_read_ever_after(seed: int) -> None:
    clock, connector = FakeClock(), ChangingSource()
    store = MemoryStore(clock)
    response = await admit(TurnStore(store, clock, WebhookEndpoints()), clock)
    texts: set[str] = set()
    for life in range(12):
        turns = TurnStore(FlakyStore(store, Random(seed * 20 + life), Faults(rate=0.3)), clock, WebhookEndpoints())  # noqa: S311 - a test's seed
        try:
            texts.add(await Retrieve(turns, reader_of(connector, clock)).text(response))
            texts.add(await turns.retrieved_context.text_or_missing(response))
        except (CrashError, GanglionError):
            continue
    texts.add(await TurnStore(store, clock, WebhookEndpoints()).retrieved_context.text_or_missing(response))
    assert len(texts) == 1


async def test_recall_measures_the_private_data_too() -> None:
    clock, connector = FakeClock(), ChangingSource()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    response = await admit(turns, clock)
    recall = Recall(turns, Retrieve(turns, reader_of(connector, clock)))
    recalled = await recall.recall(turn_wire(response))
    plain = await recall.recall(turn_wire(await admit(turns, clock, sources=())))
    assert recalled["size"]["expected"] > plain["size"]["expected"] + 20
    assert connector.queries[0].keywords == ("where", "canoe")


async def test_a_turn_whose_source_fails_never_reads_it_again() -> None:
    clock, connector = FakeClock(), ChangingSource()
    connector.fails = True
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    response = await admit(turns, clock)
    assert await Retrieve(turns, reader_of(connector, clock)).text(response) == ""
    connector.fails = False
    assert await Retrieve(turns, reader_of(connector, clock)).text(response) == ""
    accounts = await turns.retrieved_context.source_reports(OWNER, response.id)
    assert accounts is not None
    assert accounts[0]["problem"] == "it is down"


async def test_a_turn_without_sources_queries_none() -> None:
    clock, connector = FakeClock(), ChangingSource()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    response = await admit(turns, clock, sources=())
    assert await Retrieve(turns, reader_of(connector, clock)).text(response) == ""
    assert connector.queries == []


def test_private_data_comes_before_the_users_last_message() -> None:
    question = Item(id="1", role=Role.USER, text="question")
    output = Item(id="2", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="4")
    assert [item.text for item in with_private_data([question, output], "data")] == ["data", "question", "4"]
    assert [item.text for item in with_private_data([output], "data")] == ["data", "4"]
    assert with_private_data([question], "") == (question,)
