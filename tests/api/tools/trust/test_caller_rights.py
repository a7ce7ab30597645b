"""Does a server get the rights of the turn's own caller, for as long as they last, and does nobody read its token?"""

import asyncio
import json
import logging
from typing import Any

import pytest

from clients.backends.credentials import BearerToken
from clients.sealing import Seal
from clients.sources.egress import HttpAnswer
from clients.tools.factory import ToolClients
from clients.tools.http_tool import HttpTool
from clients.tools.on_behalf_of import ExchangeRefused
from domain.errors import ConfigurationError
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.tools.listings.listing import ListedTool, ToolListing
from domain.turns.response import Response, ResponseOptions
from state.tools.grants import Grants
from tests.api.batches.jobs import create, ended, line
from tests.api.harness import STRANGER, Api
from tests.api.tools.agents import agent, calls, sent
from tests.fakes.backends import says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.tools import FILE, FakeTools, caller_server, shop
from tests.fakes.worlds import OWNER

SCOPE = "api://tickets/.default"
TICKETS = f"""{caller_server("tickets", "http", url="http://127.0.0.1:2", scope=SCOPE)}trusted = true

[servers.tickets.tools.list]
description = "Lists the tickets."
method = "GET"
path = "/v1/tickets"
effect = "read"

[servers.tickets.tools.close]
description = "Closes a ticket."
method = "POST"
path = "/v1/tickets/close"
effect = "write"
approval = "always"
arguments.number = {{}}
"""
ASK: Any = {"type": "mcp", "server_label": "tickets"}
LIST = calls(("tickets__list", {}))
KEY = bytes(range(32))


class Exchange:
    """Gives each caller a token of its own that lasts `lasts_s`; refuses the callers in `refused`."""

    def __init__(self, at: float = 1_800_000_000.0, *, lasts_s: float = 3600, refused: str = "") -> None:
        self.until = at + lasts_s
        self.refused = refused
        self.asked: list[tuple[Owner, str, str]] = []

    async def exchange(self, owner: Owner, assertion: str, scope: str) -> BearerToken:
        self.asked.append((owner, assertion, scope))
        if self.refused:
            raise ExchangeRefused(self.refused)
        return BearerToken(token=token_of(owner, len(self.asked)), expires_at=self.until)


def token_of(owner: Owner, number: int) -> str:
    return f"secret-of-{owner.subject.rpartition(':')[2]}-{number}"


class Service:
    """Takes the requests that a server of tools would get."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []

    async def exchange(self, *_: Any, headers: dict[str, str], **__: Any) -> HttpAnswer:
        self.headers.append(dict(headers))
        return HttpAnswer(status=200, body=b'{"tickets": []}')


def api_of(
    *scripts: Any, exchange: Exchange, service: Service | None = None, key: bytes | None = KEY, **options: Any
) -> Api:
    given: Any = service or Service()
    nothing: Any = None
    tools = ToolClients(HttpTool(given, nothing), nothing)
    return agent(*scripts, tools=tools, servers=shop(FILE + TICKETS), exchange=exchange, sealing_key=key, **options)


def everything_in(one: Api) -> str:
    """Return all that the store has, as text."""
    store = one.world.store
    assert isinstance(store, MemoryStore)
    return json.dumps([row.document.body for rows in store.partitions.values() for row in rows.values()], default=str)


async def ask(one: Api, caller: str = "mine", **more: Any) -> dict[str, Any]:
    made = await one.create({"input": "?", "tools": [ASK], **more}, authorization=f"Bearer {caller}")
    await one.orchestrations.ended()
    assert made.status_code == 200, made.text
    return made.json()


async def test_a_call_has_the_token_of_the_turns_own_caller() -> None:
    exchange, service = Exchange(), Service()
    one = api_of(LIST, says("none"), LIST, says("none"), exchange=exchange, service=service)
    first = await ask(one)
    await ask(one, "strange")
    assert [each["type"] for each in first["output"]] == ["mcp_list_tools", "mcp_call", "message"]
    assert exchange.asked == [(OWNER, "mine", SCOPE), (STRANGER, "strange", SCOPE)]
    sent_tokens = [each["authorization"] for each in service.headers]
    assert sent_tokens == [f"Bearer {token_of(OWNER, 1)}", f"Bearer {token_of(STRANGER, 2)}"]


async def test_a_turn_that_takes_an_answer_over_leaves_no_token() -> None:
    one = api_of(says("none"), exchange=Exchange(), cache_s=60.0)
    cached: Any = {"tools": [ASK | {"allowed_tools": ["list"]}], "temperature": 0, "metadata": {"cache_s": "60"}}
    first, second = await ask(one, **cached), await ask(one, **cached)
    assert first["output"][-1]["content"] == second["output"][-1]["content"]
    assert first["id"] != second["id"]
    assert '"kind": "grant"' not in everything_in(one)


async def test_no_token_is_in_the_store_the_histories_or_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    exchange, service = Exchange(), Service()
    one = api_of(LIST, says("none"), exchange=exchange, service=service)
    real = service.exchange

    async def watched(*given: Any, **named: Any) -> HttpAnswer:
        seen.append(everything_in(one))
        return await real(*given, **named)

    service.exchange = watched
    made = await ask(one)
    assert '"kind": "grant"' in seen[0]
    assert service.headers
    everything = "".join((*seen, everything_in(one), json.dumps(made), caplog.text, json.dumps(sent(one))))
    assert "secret-of-" not in everything
    history = await one.http.get(f"/v1/responses/{made['id']}/route")
    assert "secret-of-" not in history.text


async def test_a_token_is_forgotten_when_its_turn_ends() -> None:
    one = api_of(LIST, says("none"), exchange=Exchange())
    await ask(one)
    assert "grant" not in await one.stored()


async def test_a_token_that_has_expired_ends_the_call_with_a_clear_outcome_and_is_not_sent() -> None:
    service = Service()
    one = api_of(LIST, says("sorry"), exchange=Exchange(lasts_s=20), service=service)
    call = (await ask(one))["output"][1]
    assert (call["status"], service.headers) == ("failed", [])
    assert call["error"]["content"].startswith(
        "The call was not sent: the user's permission for this server has expired"
    )


async def test_a_caller_without_the_rights_is_told_before_anything_is_spent() -> None:
    one = api_of(LIST, exchange=Exchange(refused="invalid_grant (AADSTS65001)"))
    made = await one.create({"input": "?", "tools": [ASK]})
    error = made.json()["error"]
    assert (made.status_code, error["code"], error["param"]) == (400, "caller_rights_refused", "tools")
    assert "invalid_grant (AADSTS65001)" in error["message"]
    assert "response" not in await one.stored()


async def test_a_turn_of_other_servers_exchanges_nothing() -> None:
    exchange = Exchange()
    one = api_of(says("hello"), exchange=exchange)
    await ask(one, tools=[{"type": "mcp", "server_label": "shop"}])
    assert exchange.asked == []


async def test_an_approval_brings_a_fresh_token() -> None:
    exchange, service = Exchange(), Service()
    one = api_of(calls(("tickets__close", {"number": "1"})), says("closed"), exchange=exchange, service=service)
    first = await ask(one)
    request = first["output"][-1]
    assert request["type"] == "mcp_approval_request"
    assert "grant" not in await one.stored()
    answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
    await ask(one, previous_response_id=first["id"], input=[answer])
    assert [each["authorization"] for each in service.headers] == [f"Bearer {token_of(OWNER, 2)}"]


async def test_a_deleted_turn_keeps_no_token() -> None:
    one = api_of(LIST, says("none"), exchange=Exchange())
    made = await ask(one)
    assert (await one.http.delete(f"/v1/responses/{made['id']}")).status_code == 200
    assert "grant" not in await one.stored()


def test_a_sealed_text_is_opened_in_its_own_place_alone() -> None:
    seal = Seal(KEY)
    sealed = seal.sealed("token", place="resp_1/tickets")
    assert "token" not in sealed
    assert seal.sealed("token", place="resp_1/tickets") != sealed
    assert seal.opened(sealed, place="resp_1/tickets") == "token"
    assert seal.opened(sealed, place="resp_2/tickets") is None
    assert Seal(bytes(32)).opened(sealed, place="resp_1/tickets") is None
    assert seal.opened(sealed[:-8] + "AAAAAAA=", place="resp_1/tickets") is None
    for damaged in ("", "AAAA", "?", "é", sealed[:-1], sealed[:20]):
        assert seal.opened(damaged, place="resp_1/tickets") is None


LISTED = f"""{caller_server("tickets", "mcp", url="https://t.internal", scope="s")}
[servers.tickets.tools.find]
effect = "read"
"""
SHARED = 'effect = "read"\ncache_s = 5\ncache_scope = "tenant"'
WRONG = [
    (TICKETS.replace(f'scope = "{SCOPE}"\n', ""), "servers.tickets.scope: expected text"),
    (TICKETS.replace('effect = "read"', SHARED), "cache_scope: expected owner"),
    (TICKETS.replace("http://127.0.0.1:2", "http://tickets.internal"), "servers.tickets.url: expected https"),
    (LISTED.replace('effect = "read"', SHARED), "cache_scope: expected owner"),
    (LISTED.replace("https://t", "http://t"), "servers.tickets.url: expected https"),
    (LISTED.replace('scope = "s"\n', ""), "servers.tickets.scope: expected text"),
]


@pytest.mark.parametrize(("text", "problem"), WRONG)
def test_a_mistake_in_the_file_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        shop(text)
    assert problem in str(raised.value)


FIND = ListedTool(name="find", description="Finds a ticket.", schema={"type": "object"})
FINDS = calls(("tickets__find", {}))


def listed_api(*scripts: Any, exchange: Exchange, **options: Any) -> tuple[Api, FakeTools]:
    """Return an API with an MCP server that is asked for its tools in the name of the caller."""
    tools = FakeTools(listings={"tickets": ToolListing(tools=(FIND,), fresh_s=10)})
    one = agent(*scripts, tools=tools, servers=shop(LISTED), exchange=exchange, sealing_key=KEY, **options)
    return one, tools


async def test_an_mcp_server_lists_its_tools_for_the_caller_whose_token_then_calls_them() -> None:
    exchange = Exchange()
    one, tools = listed_api(FINDS, says("none"), FINDS, says("none"), exchange=exchange)
    first = await ask(one)
    await ask(one, "strange")
    assert [each["type"] for each in first["output"]] == ["mcp_list_tools", "mcp_call", "message"]
    assert exchange.asked == [(OWNER, "mine", "s"), (STRANGER, "strange", "s")], "one exchange for both uses"
    holders = [f"{each.tenant}/{each.subject}" for each in (OWNER, STRANGER)]
    tokens = [token_of(OWNER, 1), token_of(STRANGER, 2)]
    asked = [(label, each.holder, each.token) for label, each in tools.asked]
    assert asked == [("tickets", *each) for each in zip(holders, tokens, strict=True)]
    assert [each.grant for each in tools.sent] == tokens
    assert "secret-of-" not in everything_in(one)
    assert '"kind": "grant"' not in everything_in(one)


async def test_an_mcp_server_is_not_asked_for_a_caller_without_the_rights() -> None:
    one, tools = listed_api(exchange=Exchange(refused="invalid_grant (AADSTS65001)"))
    made = await one.create({"input": "?", "tools": [ASK]})
    assert (made.status_code, made.json()["error"]["code"], tools.asked) == (400, "caller_rights_refused", [])
    assert "response" not in await one.stored()


async def test_tokens_are_counted_with_the_list_that_the_caller_sees_and_no_token_is_kept() -> None:
    one, tools = listed_api(exchange=Exchange())
    body: Any = {"model": "auto", "input": "?", "tools": [ASK]}
    counted = await one.http.post("/v1/responses/input_tokens", json=body)
    assert (counted.status_code, [each.token for _, each in tools.asked]) == (200, [token_of(OWNER, 1)])
    assert "grant" not in await one.stored()


@pytest.mark.parametrize("refused", ["", "invalid_grant"])
async def test_an_operators_list_is_asked_for_with_its_own_rights(refused: str) -> None:
    one, tools = listed_api(exchange=Exchange(refused=refused))
    found = await one.http.get("/v1/tools", headers={"authorization": "Bearer operator"})
    (asked,) = [each for _, each in tools.asked]
    assert (found.status_code, bool(asked.holder), asked.token.startswith("secret-of-")) == (200, True, not refused)


async def test_two_deliveries_of_a_request_at_once_keep_one_token() -> None:
    clock = FakeClock()
    grants, turn = Grants(MemoryStore(clock), Seal(KEY), clock), member_id("resp", thread="a" * 24, token="b" * 24)
    granted = [BearerToken(token=each, expires_at=clock.now() + 3600) for each in ("first", "second")]
    await asyncio.gather(*(grants.keep(OWNER, turn, "tickets", each) for each in granted))
    options = ResponseOptions(model="m")
    response = Response(id=turn, owner=OWNER, created_at=0, deadline_at=0, options=options)
    assert await grants.token(response, "tickets") in ("first", "second")


@pytest.mark.parametrize("table", [TICKETS, LISTED], ids=["http", "mcp"])
async def test_a_line_of_a_batch_that_needs_the_callers_rights_is_named_and_nothing_is_asked(table: str) -> None:
    exchange, tools = Exchange(), FakeTools()
    one = agent(tools=tools, servers=shop(FILE + table), exchange=exchange, sealing_key=KEY)
    body: dict[str, Any] = {"model": "model", "input": "?", "max_output_tokens": 64}
    batch = await create(one, [line(0), line(1, body=body | {"tools": [ASK]})])
    done = await ended(one, batch)
    (error,) = done["errors"]["data"]
    assert (done["status"], error["line"], error["code"]) == ("failed", 2, "caller_rights_refused")
    assert error["param"] == "body.tools"
    assert "no access token" in error["message"]
    assert (exchange.asked, tools.asked, tools.sent) == ([], [], [])
    assert "response" not in await one.stored()
