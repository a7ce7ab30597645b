"""Does the client do with a server of the official SDK what MCP says, and nothing that our rules forbid?"""

import asyncio
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.trace import NoOpTracer

from clients.tools.mcp import mcp_tool, transport
from clients.tools.port import AnsweredBy, CallFailure, ToolAnswer, ToolError, ToolRequest
from standins.mcp_tools.pictures import DOT
from standins.paths import ROOT
from telemetry.spans import parent
from tests.clients.tools.mcp.servers import FILE, Served, served
from tests.fakes.worlds import OWNER

pytestmark = pytest.mark.slow

ERAS = pytest.mark.parametrize("era", ["new", "old"])


def request(one: Served, name: str, on_progress: Any = lambda: None, **arguments: Any) -> ToolRequest:
    server = one.server
    return ToolRequest(
        server=server, tool=server.tools[name], arguments=arguments, key="mcp_1", owner=OWNER, on_progress=on_progress
    )


@ERAS
async def test_a_servers_tools_are_listed_and_called_in_both_eras(era: str) -> None:
    async with served(era=era) as one:
        listing = await one.tools.listing(one.server)
        answer = await one.tools.call(request(one, "find_order", number="A-1"))
        assert listing.problem == ""
        assert {each.name for each in listing.tools} == set(one.server.tools)
        assert answer == ToolAnswer(status=200, text='{"number":"A-1","status":"on its way"}')
        assert one.sent("tools/call") == ["POST"]
        assert bool(one.sent("initialize")) is (era == "old")
        assert len(one.sent("tools/list")) == 1


@ERAS
async def test_a_key_goes_with_each_request_and_makes_the_effect_one(era: str) -> None:
    async with served(era=era) as one:
        answers = [await one.tools.call(request(one, "refund_order", number="A-1")) for _ in range(3)]
        assert len({each.text for each in answers}) == 1
        assert [each["key"] for each in one.shop.effects] == ["mcp_1"]
        assert len(one.sent("tools/call")) == 3


async def test_a_header_carries_the_key_where_the_file_says_so() -> None:
    async with served(file=FILE.replace("argument:key", "header:Idempotency-Key")) as one:
        await one.tools.call(request(one, "refund_order", number="A-1", key="own"))
        headers = [each["headers"] for each in one.shop.faults.requests if each["body"]["method"] == "tools/call"]
        assert [each["idempotency-key"] for each in headers] == ["mcp_1"]


@ERAS
async def test_a_servers_progress_is_reported(era: str) -> None:
    signs: list[int] = []
    async with served(era=era) as one:
        answer = await one.tools.call(request(one, "wait", lambda: signs.append(1), steps=3))
    assert "waited 3 steps" in answer.text
    assert len(signs) >= 1


async def test_a_picture_is_an_image_beside_a_text_that_names_it() -> None:
    async with served() as one:
        answer = await one.tools.call(request(one, "picture"))
    assert answer.text == "[image of the type image/png]"
    assert answer.images == (f"data:image/png;base64,{b64encode(DOT).decode()}",)


@pytest.mark.parametrize(
    ("kind", "data"), [("image/svg+xml", "AAAA"), ("image/png", "A" * 700_000), ("image/png", "%%")]
)
async def test_a_picture_that_no_model_can_take_is_left_out_and_says_so(kind: str, data: str) -> None:
    from mcp_types import CallToolResult, ImageContent  # noqa: PLC0415 - the library takes a while

    from clients.tools.mcp.results import answer_of  # noqa: PLC0415 - as above

    answer = answer_of(CallToolResult(content=[ImageContent(data=data, mime_type=kind)]))
    assert (answer.text, answer.images) == (f"[image of the type {kind}, which is left out here]", ())


async def test_a_tool_that_fails_is_told_from_a_server_that_fails() -> None:
    async with served() as one:
        answer = await one.tools.call(request(one, "fail"))
        one.shop.faults.set({"status": 503})
        refused = await one.tools.call(request(one, "find_order", number="A-1"))
    assert (answer.by, answer.is_success, "fail" in answer.text) == (AnsweredBy.TOOL, False, True)
    assert (refused.by, refused.status, refused.text) == (AnsweredBy.HTTP, 503, '{"error":"as planned"}')


def hostile() -> Iterator[Any]:
    for era in ("new", "old"):
        for name, fault in {
            "no JSON": {"text": "hello"},
            "too long": {"bytes": 2_000_000},
            "a stream without an answer": {"ends": True},
        }.items():
            yield pytest.param(era, fault, id=f"{name}, {era}")


@pytest.mark.parametrize(("era", "fault"), list(hostile()))
async def test_an_answer_that_is_none_is_not_asked_for_again(era: str, fault: dict[str, Any]) -> None:
    async with served(era=era) as one:
        one.shop.faults.set({**fault, "times": 1})
        with pytest.raises(ToolError) as raised:
            await one.tools.call(request(one, "send_note", text="hello"))
        assert raised.value.failure is CallFailure.NO_ANSWER
        assert one.sent("tools/call") == ["POST"]
        assert (await one.tools.call(request(one, "send_note", text="again"))).is_success
        assert len(one.shop.effects) == 1


@pytest.mark.parametrize("target", ["/mcp", "http://127.0.0.1:9/elsewhere"])
async def test_a_redirect_is_not_followed(target: str) -> None:
    async with served() as one:
        one.shop.faults.set({"redirect": target})
        answer = await one.tools.call(request(one, "send_note", text="hello"))
        assert (answer.status, answer.is_success) == (307, False)
        assert one.sent("tools/call") == ["POST"]


async def test_a_lost_session_is_opened_again_once_and_the_call_is_run_once() -> None:
    async with served(era="old") as one:
        await one.tools.call(request(one, "send_note", text="first"))
        one.shop.faults.set({"forget": True})
        assert (await one.tools.call(request(one, "send_note", text="second"))).is_success
        assert [each["text"] for each in one.shop.effects] == ["first", "second"]
        assert len(one.sent("initialize")) == 2


@ERAS
async def test_calls_of_many_turns_share_a_session(era: str) -> None:
    async with served(era=era) as one:
        calls = [one.tools.call(request(one, "find_order", number=f"A-{number}")) for number in range(8)]
        answers = await asyncio.gather(*calls)
        assert [f'"A-{number}"' in each.text for number, each in enumerate(answers)] == [True] * 8
        assert len(one.sent("initialize")) == (era == "old")


@ERAS
async def test_a_call_that_is_given_up_leaves_the_session_usable(era: str) -> None:
    async with served(era=era) as one:
        started = asyncio.Event()
        running = asyncio.create_task(one.tools.call(request(one, "wait", started.set, steps=10_000)))
        await started.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert (await one.tools.call(request(one, "find_order", number="A-1"))).is_success


async def test_a_list_is_used_for_a_while_and_then_asked_for_again() -> None:
    async with served() as one:
        for _ in range(3):
            await one.tools.listing(one.server)
        assert len(one.sent("tools/list")) == 1
        one.clock.advance(3601)
        await one.tools.listing(one.server)
        assert len(one.sent("tools/list")) == 2


async def test_a_server_that_is_not_there_has_a_problem_instead_of_a_list() -> None:
    async with served() as one:
        one.clock.advance(1)
        file = one.servers.known["shop"]
    async with served() as other:
        listing = await other.tools.listing(file)
        assert listing.problem.startswith("The server was not called: it cannot be reached")
        with pytest.raises(ToolError) as raised:
            await other.tools.call(
                ToolRequest(server=file, tool=file.tools["send_note"], arguments={"text": "?"}, key="k", owner=OWNER)
            )
        assert raised.value.failure is CallFailure.NOT_SENT


async def test_an_address_that_the_rules_forbid_gets_no_connection() -> None:
    async with served() as one:
        one.tools.mcp.pinned.loopback = False
        listing = await one.tools.listing(one.server)
        assert "its host is not allowed" in listing.problem
        assert one.shop.faults.requests == []


@ERAS
async def test_a_call_is_part_of_the_trace_of_its_turn(era: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with served(era=era) as one:
        await one.tools.listing(one.server)
        token = context.attach(parent(trace))
        await one.tools.call(request(one, "find_order", number="A-1"))
        context.detach(token)
        bodies = [each["body"] for each in one.shop.faults.requests if each["body"]["method"] == "tools/call"]
        assert [each["params"]["_meta"]["traceparent"] for each in bodies] == [trace]


def test_nothing_of_the_library_is_imported_before_its_first_use() -> None:
    code = (
        "import sys\n"
        "from clients.clock import SystemClock\n"
        "from clients.tools.factory import build_tools\n"
        "build_tools(SystemClock(), loopback=True, client_id=None)\n"
        "print({'mcp', 'mcp_types', 'httpx2', 'jsonschema'} & sys.modules.keys())"
    )
    shown = subprocess.run(  # noqa: S603 - the code is ours
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert shown.stdout.strip() == "set()"


async def test_a_read_of_the_wire_is_a_post_alone() -> None:
    async with served(era="old") as one:
        await one.tools.call(request(one, "find_order", number="A-1"))
        assert {each["http"] for each in one.shop.faults.requests} == {"POST"}


async def test_a_write_is_not_repeated_when_the_server_does_not_know_the_session_of_our_own_answer() -> None:
    async with served(era="old") as one:
        one.shop.faults.set({"pings": True})
        with pytest.raises(ToolError) as raised:
            await one.tools.call(request(one, "send_note", text="hello"))
        assert raised.value.failure is CallFailure.NO_ANSWER
        assert one.sent("tools/call") == ["POST"]


@ERAS
async def test_a_call_that_is_given_up_leaves_no_connection_to_a_silent_server(
    era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(era=era) as one:
        await one.tools.listing(one.server)
        monkeypatch.setattr(transport, "NOTE_S", 0.1)
        one.shop.faults.set({"silent": ["tools/call", "notifications/cancelled"]})
        running = asyncio.create_task(one.tools.call(request(one, "find_order", number="A-1")))
        await until(lambda: bool(one.sent("tools/call")))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await until(lambda: "tools/call" in one.shop.faults.closed)
        one.shop.faults.set({})
        assert (await one.tools.call(request(one, "find_order", number="A-1"))).is_success
        assert len(one.sent("initialize")) == (era == "old"), "the session goes on"


async def test_a_server_that_was_silent_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(era="old") as one:
        one.shop.faults.set({"silent": ["server/discover", "initialize"]})
        with monkeypatch.context() as impatient:
            impatient.setattr(transport, "REQUEST_S", 0.1)
            assert "did not answer in time" in (await one.tools.listing(one.server)).problem
        one.shop.faults.set({})
        one.clock.advance(mcp_tool.FAILED_S + 1)
        assert (await one.tools.listing(one.server)).problem == ""


async def test_a_lost_session_does_not_end_the_calls_of_other_turns() -> None:
    async with served(era="old") as one:
        started = asyncio.Event()
        other = asyncio.create_task(one.tools.call(request(one, "wait", started.set, steps=6)))
        await started.wait()
        one.shop.faults.set({"forget": True})
        assert (await one.tools.call(request(one, "find_order", number="A-1"))).is_success
        assert (await other).is_success
        assert len(one.sent("initialize")) == 2
        await until(lambda: not one.tools.mcp.sessions.retired)


async def test_a_header_in_no_ascii_does_not_end_the_calls_of_other_turns() -> None:
    async with served() as one:
        started = asyncio.Event()
        other = asyncio.create_task(one.tools.call(request(one, "wait", started.set, steps=6)))
        await started.wait()
        one.shop.faults.set({"type": 'text/plain; x="é"'})
        with pytest.raises(ToolError) as raised:
            await one.tools.call(request(one, "send_note", text="hello"))
        assert raised.value.failure is CallFailure.NO_ANSWER
        assert (await other).is_success


async def test_the_first_call_of_a_process_imports_the_library_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_thread() -> None:
        raise LookupError("imported in a thread")

    async with served() as one:
        monkeypatch.setattr(mcp_tool, "import_library", in_thread)
        monkeypatch.setitem(sys.modules, "clients.tools.mcp.session", None)
        with pytest.raises(LookupError):
            await one.tools.call(request(one, "find_order", number="A-1"))


async def test_the_library_records_no_span_with_words_of_the_server() -> None:
    async with served() as one:
        await one.tools.listing(one.server)
    assert isinstance(vars(import_module("mcp.shared._otel"))["_tracer"], NoOpTracer)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - a state of the server, which has no event
        await asyncio.sleep(0.01)
