"""Which session does a caller get, and which sessions are closed?"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, cast, override

import pytest
from mcp import Client

from clients.tools.mcp import sessions
from clients.tools.mcp.session import McpSession
from clients.tools.mcp.sessions import Sessions, key_of
from clients.tools.port import AS_APP, CallFailure, Credential, ToolError
from domain.config.tools_toml import tools_from_toml
from domain.tools.catalog import ToolServer
from tests.clients.tools.mcp.servers import FILE

SHOP, STORE = (
    tools_from_toml(
        FILE.format(url="https://shop.example").replace("servers.shop", f"servers.{name}"), {}, on_azure=False
    )
    for name in ("shop", "store")
)
ONE, OTHER = SHOP.known["shop"], STORE.known["store"]


def caller(token: str) -> Credential:
    return Credential(holder=f"tenant/{token}", token=token)


class OpenSession(McpSession):
    """A session without a network, which is open at once, or can't be opened."""

    def __init__(self, server: ToolServer, *, problem: ToolError | None) -> None:
        super().__init__(server, cast("Any", None))
        if problem:
            self.opened.set_exception(problem)
        else:
            self.opened.set_result(cast("Client", None))

    @override
    async def run(self) -> None:
        await self.closing.wait()


class OpenSessions(Sessions):
    """Opens sessions without a network; with a `problem` it opens none."""

    def __init__(self) -> None:
        super().__init__(cast("Any", None), cast("Any", None))
        self.problem: ToolError | None = None
        self.made: list[McpSession] = []

    @override
    def new_session(self, server: ToolServer, credential: Credential) -> McpSession:
        self.made.append(OpenSession(server, problem=self.problem))
        return self.made[-1]

    async def used(self, server: ToolServer, credential: Credential) -> McpSession:
        async with self.using(server, credential) as session:
            return session


@pytest.fixture
async def kept() -> AsyncGenerator[OpenSessions]:
    made = OpenSessions()
    yield made
    await made.close()


def test_a_key_has_no_token_and_differs_by_server_and_token() -> None:
    assert key_of(ONE, AS_APP) == ("shop", "")
    keys = {key_of(server, caller(token)) for server in (ONE, OTHER) for token in ("alice", "bob")}
    assert len(keys) == 4
    assert "alice" not in str(keys)


async def test_the_app_has_one_session_with_each_server_and_each_token_its_own(kept: OpenSessions) -> None:
    for _ in range(2):
        for server in (ONE, OTHER):
            for credential in (AS_APP, caller("alice"), caller("bob")):
                await kept.used(server, credential)
    assert len(kept.made) == len(kept.open) == 6
    assert len(kept.timers) == 4, "the app's own sessions stay"


async def test_a_session_that_has_ended_is_replaced(kept: OpenSessions) -> None:
    first = await kept.used(ONE, AS_APP)
    first.closing.set()
    await first.task
    assert await kept.used(ONE, AS_APP) is not first
    assert len(kept.open) == 1


async def test_a_session_that_cannot_be_opened_is_forgotten(kept: OpenSessions) -> None:
    kept.problem = ToolError(CallFailure.NOT_SENT, "no connection")
    for credential in (AS_APP, caller("alice")):
        with pytest.raises(ToolError, match="no connection"):
            await kept.used(ONE, credential)
    assert (kept.open, kept.timers) == ({}, {})
    kept.problem = None
    await kept.used(ONE, AS_APP)
    assert len(kept.made) == 3
    await asyncio.gather(*(each.close() for each in kept.made))


async def test_the_session_that_was_used_least_recently_gives_way(
    kept: OpenSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_CALLERS", 2)
    own = await kept.used(ONE, AS_APP)
    alice, bob = await kept.used(ONE, caller("alice")), await kept.used(ONE, caller("bob"))
    await kept.used(ONE, caller("alice"))
    await kept.used(ONE, caller("carol"))
    assert [each.has_ended for each in (own, alice, bob)] == [False, False, True]
    assert len(kept.open) == 3


async def test_a_session_that_gives_way_stays_open_for_its_request(
    kept: OpenSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_CALLERS", 1)
    async with kept.using(ONE, caller("alice")) as alice:
        await kept.used(ONE, caller("bob"))
        assert kept.retired == {alice}
        assert not alice.closing.is_set()
    await alice.task
    await asyncio.sleep(0)
    assert kept.retired == set()


async def test_closing_ends_every_session_and_every_timer() -> None:
    made = OpenSessions()
    async with made.using(ONE, caller("alice")) as retired:
        made.retire(retired)
        others = [await made.used(ONE, each) for each in (AS_APP, caller("alice"))]
        await made.close()
    assert [each.task.done() for each in (retired, *others)] == [True] * 3
    assert (made.open, made.timers) == ({}, {})
    await made.close()
