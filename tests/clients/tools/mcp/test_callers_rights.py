"""Does an MCP server see the caller itself, and does no caller share a session or a private list with another?"""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from clients.tools.credentials import GRANT_EXPIRED
from clients.tools.mcp import mcp_tool, sessions
from clients.tools.port import CallFailure, ToolError
from tests.clients.tools.mcp.protected import protected
from tests.clients.tools.mcp.test_mcp_tool import ERAS, until

pytestmark = pytest.mark.slow


@ERAS
async def test_each_caller_is_seen_with_a_session_and_a_list_of_its_own(era: str, tmp_path: Path) -> None:
    async with protected(tmp_path, era=era) as one:
        tokens = {user: one.token(user) for user in ("alice", "bob")}
        for _ in range(2):
            for user, token in tokens.items():
                assert {each.name for each in (await one.listing(user, token)).tools} == {"whoami", "wait"}
                seen = json.loads((await one.call(user, token)).text)["result"]
                assert one.owner(user).subject == f"user:{seen}"
        first, second = tokens.values()
        assert one.sent("tools/list") == [first, second]
        assert one.sent("tools/call") == [first, second] * 2
        assert len(one.sent("initialize")) == (2 if era == "old" else 0)
        opened = [each["headers"].get("mcp-session-id") for each in one.faults.requests]
        assert len({each for each in opened if each}) == (2 if era == "old" else 0)


@ERAS
async def test_a_fresh_token_of_the_same_caller_has_a_fresh_session_and_the_known_list(
    era: str, tmp_path: Path
) -> None:
    async with protected(tmp_path, era=era) as one:
        tokens = [one.token("alice"), one.token("alice", lifetime_s=1800)]
        for token in tokens:
            await one.listing("alice", token)
            await one.call("alice", token)
        assert one.sent("tools/call") == tokens
        assert one.sent("tools/list") == tokens[:1]


@ERAS
async def test_no_token_is_in_the_logs_or_in_what_a_turn_is_told(
    era: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", *(each for each in logging.root.manager.loggerDict if each.startswith("mcp"))):
        caplog.set_level(logging.DEBUG, logger=name or None)
    async with protected(tmp_path, era=era) as one:
        tokens = [one.token("alice"), one.token("bob", exp=1_000_000_000)]
        told = [repr(await one.listing("alice", tokens[0])), repr(await one.call("alice", tokens[0]))]
        told.append(repr(await one.listing("bob", tokens[1])))
        with pytest.raises(ToolError) as raised:
            await one.call("bob", tokens[1])
        told.append(str(raised.value))
        assert set(one.sent("tools/call")) == {tokens[0]}
    logged = [f"{each.getMessage()} {each.__dict__} {each.exc_text}" for each in caplog.records]
    assert any(each.name.startswith("mcp") for each in caplog.records), "the library has logged what it did"
    everything = "".join((*told, *logged, caplog.text))
    for token in tokens:
        for part in token.split("."):
            assert part == token.split(".")[0] or part not in everything


async def test_a_list_that_the_server_gives_everybody_is_asked_for_once(tmp_path: Path) -> None:
    async with protected(tmp_path, scope="public") as one:
        for user in ("alice", "bob", "carol"):
            assert (await one.listing(user, one.token(user))).problem == ""
        assert len(one.sent("tools/list")) == 1


@ERAS
async def test_a_token_for_another_server_or_that_has_expired_is_refused(era: str, tmp_path: Path) -> None:
    async with protected(tmp_path, era=era) as one:
        for token in (one.token("alice", aud="api://files"), one.token("bob", exp=1_000_000_000)):
            user = "bob" if "exp" in token else "alice"
            listing = await one.listing(user, token)
            assert listing.problem == "The server answered with status 401."
            with pytest.raises(ToolError) as raised:
                await one.call(user, token)
            assert raised.value.failure is CallFailure.NOT_SENT
            one.clock.advance(mcp_tool.FAILED_S + 1)


async def test_a_call_whose_caller_has_no_token_any_more_is_not_sent(tmp_path: Path) -> None:
    async with protected(tmp_path) as one:
        await one.call("alice", one.token("alice"))
        before = len(one.faults.requests)
        with pytest.raises(ToolError, match="has expired") as raised:
            await one.call("alice", "")
        assert (raised.value.failure, str(raised.value)) == (CallFailure.NOT_SENT, GRANT_EXPIRED)
        assert (await one.listing("bob", "")).problem == GRANT_EXPIRED
        assert len(one.faults.requests) == before


async def test_an_idle_session_is_closed_and_its_token_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "IDLE_S", 0.01)
    async with protected(tmp_path) as one:
        kept = one.tools.mcp.sessions
        assert (await one.call("alice", one.token("alice"), "wait", steps=6)).is_success, "it ends no call"
        await until(lambda: not (kept.open or kept.retired or kept.timers))


async def test_the_oldest_session_of_too_many_callers_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_CALLERS", 2)
    monkeypatch.setattr(mcp_tool, "MOST_LISTS", 2)
    async with protected(tmp_path) as one:
        tokens = {user: one.token(user) for user in ("alice", "bob", "carol", "dave")}
        slow = asyncio.create_task(one.call("alice", tokens["alice"], "wait", steps=6))
        await until(lambda: bool(one.sent("tools/call")))
        for user, token in tokens.items():
            await one.listing(user, token)
            await one.call(user, token)
        assert (await slow).is_success, "a call that is under way ends in its session"
        kept = one.tools.mcp
        assert [each for each, _ in kept.known] == ["tickets"] * 2
        await until(lambda: not kept.sessions.retired)
        assert len(kept.sessions.open) == len(kept.sessions.timers) == 2
