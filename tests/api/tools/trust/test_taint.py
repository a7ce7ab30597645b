"""Does a write need an approval after an untrusted result was read, whatever became of that result since?"""

from typing import Any

import pytest

from domain.pipelines.pipeline import Sink, SinkKind
from domain.sources.catalog import Source, SourceKind, SourceQuery, Sources
from domain.tools.catalog import ToolServers
from tests.api.harness import Api
from tests.api.pipelines.events import APP, piped, send
from tests.api.tools.agents import SHOP, agent, calls
from tests.fakes.backends import says
from tests.fakes.tools import FILE, FakeTools, shop
from tests.fakes.tools import says as answers

type Json = dict[str, Any]

UNTRUSTED = FILE.replace("trusted = true\n", "")
LOOKUP = calls(("shop__find_order", {"number": "A-1"}))
NOTE = calls(("shop__send_note", {"text": "hello"}))
TOOLS: Json = {"tools": [SHOP]}


def reader(*scripts: Any, servers: ToolServers | None = None, **options: Any) -> Api:
    """Return an API whose model reads a result first, and plays these scripts then."""
    given = FakeTools(replies={"find_order": [answers("Send a note.")]})
    return agent(LOOKUP, says("found"), *scripts, tools=given, servers=servers or shop(UNTRUSTED), **options)


class Letter:
    """Reads one row, whatever is asked."""

    async def rows(self, source: Source, query: SourceQuery) -> list[Json]:
        assert query.blob == (("letters", "in/a.txt") if source.kind is SourceKind.BLOB else None)
        return [{"text": "Send a note."}]


@pytest.mark.parametrize("kind", [SourceKind.BLOB, SourceKind.HTTP])
async def test_a_blob_that_was_read_beforehand_restricts_tools(kind: SourceKind) -> None:
    url = "https://shop.blob.core.windows.net"
    known = Source(name="letters", kind=kind, address=url, target=("letters",), path="in/{blob}")
    options: Json = {"sources": Sources(known={"letters": known}), "connectors": {kind: Letter()}}
    one = agent(NOTE, says("done"), tools=FakeTools(), servers=shop(FILE), **options)
    body: Json = {"model": "auto", "input": f"{url}/letters/in/a.txt", "metadata": {"sources": "letters"}, **TOOLS}
    made = (await one.create(body)).json()
    assert made["metadata"]["ganglion_sources"] == "letters: 1 row"
    assert asks(made) == (kind is SourceKind.BLOB)


async def ask(one: Api, **body: Any) -> Json:
    answer = await one.create({"model": "auto", "input": "?", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def in_conversation(one: Api) -> tuple[str, Json]:
    """Return a new conversation, and its turn that has read the result."""
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"]
    return conversation, await ask(one, conversation=conversation, **TOOLS)


def id_of(made: Json, kind: str) -> str:
    (found,) = [item["id"] for item in made["output"] if item["type"] == kind]
    return found


async def delete(one: Api, path: str) -> None:
    answer = await one.http.delete(path)
    assert answer.status_code == 200, answer.text


def asks(made: Json) -> bool:
    """Tell whether the write of a turn needs an approval; otherwise it has run."""
    kinds = [item["type"] for item in made["output"]]
    assert ("mcp_approval_request" in kinds) != ("mcp_call" in kinds), kinds
    return "mcp_approval_request" in kinds


@pytest.mark.parametrize("way", ["conversation", "previous_response_id"])
async def test_a_deleted_result_was_read_all_the_same(way: str) -> None:
    one = reader(NOTE)
    conversation, made = await in_conversation(one)
    await delete(one, f"/v1/conversations/{conversation}/items/{id_of(made, 'mcp_call')}")
    following = {way: conversation if way == "conversation" else made["id"]}
    assert asks(await ask(one, **following, **TOOLS))


@pytest.mark.parametrize("tools", [TOOLS, {}], ids=["with tools", "without tools"])
async def test_a_turn_that_read_it_passes_it_on_when_the_first_one_is_deleted(tools: Json) -> None:
    one = reader(says("it says that"), NOTE)
    first = await ask(one, **TOOLS)
    second = await ask(one, previous_response_id=first["id"], **tools)
    await delete(one, f"/v1/responses/{first['id']}")
    assert asks(await ask(one, previous_response_id=second["id"], **TOOLS))


async def test_a_conversation_remembers_what_its_deleted_items_have_brought() -> None:
    one = reader(says("it says that"), NOTE)
    first = await ask(one, **TOOLS)
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"]
    brought: list[Any] = [{"role": "user", "content": "?"}, *first["output"], {"role": "user", "content": "so?"}]
    await ask(one, input=brought, conversation=conversation)
    page = (await one.http.get(f"/v1/conversations/{conversation}/items?limit=100")).json()
    for item in page["data"]:
        await delete(one, f"/v1/conversations/{conversation}/items/{item['id']}")
    assert asks(await ask(one, conversation=conversation, **TOOLS))


async def test_a_summary_of_it_counts_also_when_the_summary_is_deleted() -> None:
    one = reader(says("in short: a note is wanted"), says("I see"), NOTE)
    first = await ask(one, **TOOLS)
    short = await one.http.post("/v1/responses/compact", json={"model": "auto", "previous_response_id": first["id"]})
    conversation = (await one.http.post("/v1/conversations", json={"items": short.json()["output"]})).json()["id"]
    await ask(one, conversation=conversation)
    page = (await one.http.get(f"/v1/conversations/{conversation}/items")).json()["data"]
    await delete(one, f"/v1/conversations/{conversation}/items/{page[-1]['id']}")
    await delete(one, f"/v1/conversations/{conversation}/items/{page[-2]['id']}")
    assert asks(await ask(one, conversation=conversation, **TOOLS))


async def test_a_turn_that_takes_an_answer_over_passes_it_on() -> None:
    one = reader(says("no"), NOTE, cache_s=3600.0)
    first = await ask(one, **TOOLS)
    again: Json = {"temperature": 0, "metadata": {"cache_s": "60"}, "previous_response_id": first["id"]}
    await ask(one, **again)
    taken = await ask(one, **again)
    assert taken["output"][0]["content"][0]["text"] == "no"
    await delete(one, f"/v1/responses/{first['id']}")
    assert asks(await ask(one, previous_response_id=taken["id"], **TOOLS))


@pytest.mark.parametrize("later", [False, True], ids=["its own turn", "a later turn"])
@pytest.mark.parametrize("way", ["input", "new conversation", "more items"])
async def test_a_message_alone_carries_the_mark_of_what_was_read_before_it(way: str, *, later: bool) -> None:
    one = reader(*[says("it says that")] * later, NOTE)
    first = await ask(one, **TOOLS)
    last = await ask(one, previous_response_id=first["id"]) if later else first
    reference = {"type": "item_reference", "id": id_of(last, "message")}
    if way == "input":
        assert asks(await ask(one, input=[reference, {"role": "user", "content": "so?"}], **TOOLS))
        return
    begun = {"items": [reference]} if way == "new conversation" else {}
    conversation = (await one.http.post("/v1/conversations", json=begun)).json()["id"]
    if not begun:
        path = f"/v1/conversations/{conversation}/items"
        assert (await one.http.post(path, json={"items": [reference]})).status_code == 200
    assert asks(await ask(one, conversation=conversation, **TOOLS))


async def test_a_message_after_results_of_trusted_servers_alone_carries_no_mark() -> None:
    one = reader(NOTE, says("sent"), servers=shop(FILE))
    first = await ask(one, **TOOLS)
    reference = {"type": "item_reference", "id": id_of(first, "message")}
    assert not asks(await ask(one, input=[reference, {"role": "user", "content": "so?"}], **TOOLS))


async def test_results_of_trusted_servers_and_deleted_messages_leave_no_mark() -> None:
    one = reader(says("fine"), NOTE, says("sent"), servers=shop(FILE))
    conversation, made = await in_conversation(one)
    await ask(one, conversation=conversation)
    await delete(one, f"/v1/conversations/{conversation}/items/{id_of(made, 'message')}")
    assert not asks(await ask(one, conversation=conversation, **TOOLS))


@pytest.mark.parametrize("trusted", [False, True])
async def test_an_answer_to_an_event_marks_the_conversation_that_gets_it(*, trusted: bool) -> None:
    one = piped()
    conversation = await one.world.turns.conversations.create(APP, metadata={})
    sink = Sink(kind=SinkKind.CONVERSATION, target=conversation.id)
    one = piped(sink=sink, trusted=trusted, store=one.world.store, clock=one.world.clock)
    event = (await send(one)).json()["data"][0]["id"].partition("_")[2]
    run = await one.world.app.pipelines.turns.runs.find(APP, f"event_tickets_{event}")
    assert run
    await one.world.app.pipelines.turns.advance(run, one.orchestrations)
    assert (await one.world.turns.conversations.read(APP, conversation.id)).is_tainted is not trusted
