"""Do the operator's commands show what the API answers, and say in one line why it does not?"""

import io
import json
from collections.abc import AsyncIterator
from copy import replace

import httpx
import pytest

from clients.orchestrations import wire_of_batch
from domain.money.budgets import Budgets, BudgetScope
from ganglion.__main__ import Command, command_line
from ganglion.remote import commands
from ganglion.remote.client import ApiClient, ApiError, access_from
from ganglion.remote.tables import table
from tests.api.batches.jobs import create, line
from tests.api.batches.jobs import ended as ended_batch
from tests.api.batches.test_pauses import LIMIT, begun, spends_it_all
from tests.api.endpoints.reports.test_limits import serving
from tests.api.endpoints.reports.test_warm_ups import WORST, sleeping
from tests.api.harness import ANSWER, OPERATOR, Api, FakeAuthenticator, api

LISTS: dict[str, Command] = {"turns": commands.turns, "budgets": commands.budgets, "usage": commands.usage}


def caller(one: Api, name: str = "operator") -> ApiClient:
    one.http.headers["authorization"] = f"Bearer {name}"
    return ApiClient(one.http)


async def output(client: ApiClient, command: Command, *arguments: str) -> str:
    options = command_line().parse_args([command.__name__, *arguments])
    return "".join([text async for text in command(client, options)])


async def ended_turn(one: Api) -> str:
    return (await one.create({"model": "auto", "input": "hi"})).json()["id"]


async def waiting_turn(one: Api) -> str:
    return (await one.create({"model": "auto", "input": "hi", "background": True})).json()["id"]


async def test_turns_are_listed_without_their_content() -> None:
    one = api()
    identifier = await ended_turn(one)
    text = await output(caller(one, "mine"), commands.turns)
    header, row = text.splitlines()
    assert header.split()[:4] == ["id", "created_at", "status", "model"]
    assert row.startswith(identifier)
    assert ANSWER not in text
    assert identifier in await output(caller(one), commands.turns, "--tenant")


async def test_a_turn_is_shown_with_its_timeline_route_and_bill() -> None:
    one = api()
    identifier = await ended_turn(one)
    lines = (await output(caller(one, "mine"), commands.turn, identifier)).splitlines()
    assert lines[0] == "   0.000 s  admitted"
    assert any(line.startswith("route  ") for line in lines)
    assert any(line.strip().startswith("total  $") for line in lines)


async def test_usage_by_cause_has_the_cost_of_each_cause() -> None:
    one = api()
    await ended_turn(one)
    header, *rows = (await output(caller(one), commands.usage, "--by", "day,cause")).splitlines()
    assert header.split() == ["day", "cause", "cost_usd"]
    assert [row.split()[1] for row in rows] == ["tokens"]


async def test_a_turn_is_followed_to_its_end() -> None:
    one = api()
    identifier = await ended_turn(one)
    client = caller(one, "mine")
    assert await output(client, commands.follow, identifier) == f"{ANSWER}\n[response.completed]\n"
    events = [json.loads(line) for line in (await output(client, commands.follow, identifier, "--json")).splitlines()]
    assert (events[0]["type"], events[-1]["type"]) == ("response.created", "response.completed")


async def test_a_turn_is_cancelled() -> None:
    one = api()
    identifier = await waiting_turn(one)
    with pytest.raises(ApiError, match=r"status 4\d\d, req_"):
        await output(caller(one, "mine"), commands.cancel, "resp_unknown")
    client = caller(one, "mine")
    text = await output(client, commands.cancel, identifier)
    assert text.split() == [identifier, "cancelled"]


@pytest.mark.parametrize("name", LISTS)
async def test_json_is_the_answer_of_the_api(name: str) -> None:
    one = api()
    await ended_turn(one)
    client = caller(one)
    answer = json.loads(await output(client, LISTS[name], "--json"))
    assert (answer["object"], type(answer["data"])) == ("list", list)
    assert await output(client, LISTS[name])


async def test_the_fleet_is_listed_for_those_who_may_read_it() -> None:
    one = api()
    header, row = (await output(caller(one), commands.fleet)).splitlines()
    assert (header.split()[0], row.split()[0]) == ("id", "main")
    with pytest.raises(ApiError, match=r"Operations\.Read"):
        await output(caller(one, "mine"), commands.fleet)


@pytest.mark.parametrize(("typed", "sent"), [("n\n", 0), ("", 0), ("y\n", 1)])
async def test_a_backend_is_started_after_its_cost_was_shown_and_confirmed(
    typed: str, sent: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, gpu = sleeping()
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    if sent:
        text = await output(caller(one), commands.warm, "gpu")
        assert text.startswith("gpu  warm  at most $")
    else:
        with pytest.raises(ApiError, match="gpu was not started"):
            await output(caller(one), commands.warm, "gpu")
    assert f"at most ${WORST:.9f} for a start of up to 40 s" in capsys.readouterr().err
    assert gpu.probes == sent
    assert "nothing is charged" in await output(caller(one), commands.warm, "gpu", "--yes") or not sent


async def test_usage_is_grouped_by_what_is_asked_for() -> None:
    one = api()
    await ended_turn(one)
    header, *rows = (await output(caller(one), commands.usage, "--by", "backend,model")).splitlines()
    assert header.split()[:2] == ["backend", "model"]
    assert rows[0].split()[0] == "main"


async def test_usage_by_batch_has_the_items_and_what_each_cost() -> None:
    one = api()
    batch = await ended_batch(one, await create(one, [line(0), line(1)]))
    header, row = (await output(caller(one), commands.usage, "--by", "batch")).splitlines()
    assert header.split() == ["batch", *commands.ITEMS]
    assert row.split()[:2] == [batch["id"], "2"]


async def test_an_application_that_does_not_answer_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    http = httpx.AsyncClient(transport=httpx.MockTransport(refuse), base_url="http://127.0.0.1:1")
    for command in (commands.turns, commands.budgets):
        with pytest.raises(ApiError, match=r"127\.0\.0\.1:1 does not answer .* `make run`"):
            await output(ApiClient(http), command)
    with pytest.raises(ApiError, match="does not answer"):
        await output(ApiClient(http), commands.follow, "resp_1")


async def test_a_stream_that_breaks_is_no_clean_end() -> None:
    def cut(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text='data: {"type": "response.created"}\n\n')

    http = httpx.AsyncClient(transport=httpx.MockTransport(cut), base_url="http://127.0.0.1:1")
    with pytest.raises(ApiError, match="run the command again"):
        await output(ApiClient(http), commands.follow, "resp_1")


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({}, "set GANGLION_ACCESS_TOKEN"),
        ({"GANGLION_ACCESS_TOKEN": "t", "GANGLION_URL": "http://app.example"}, "expected https"),
        ({"GANGLION_ACCESS_TOKEN": "t", "GANGLION_URL": "app"}, "expected https"),
    ],
)
def test_a_token_is_needed_and_sent_only_over_tls_or_to_this_machine(environment: dict[str, str], problem: str) -> None:
    with pytest.raises(ApiError, match=problem):
        access_from(environment)


def test_the_local_application_is_the_default() -> None:
    access = access_from({"GANGLION_ACCESS_TOKEN": "secret", "PORT": "7080"})
    assert access.origin == "http://127.0.0.1:7080"
    assert "secret" not in repr(access)


def test_control_characters_of_names_do_not_reach_the_terminal() -> None:
    assert (
        table([{"id": "a\x1b[31m\n", "start": {"p99_s": None}}], ("id", "start.p99_s")).splitlines()[1] == "a [31m   -"
    )


def author() -> ApiClient:
    """Return the client of an operator who may change limits."""
    authenticator = FakeAuthenticator()
    holder = replace(OPERATOR, roles=(*OPERATOR.roles, "Limits.Write"))
    authenticator.owners = {**authenticator.owners, "author": holder}
    return caller(api(authenticator=authenticator, operator_tenant=OPERATOR.tenant), "author")


async def test_limits_are_changed_shown_and_reset() -> None:
    client = author()
    shown = await output(client, commands.limits, "--set", "tenant_day=20", "--set", "owner_day=none")
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line}
    assert (rows["tenant_day"], rows["owner_day"]) == (["20", "-", "yes"], ["-", "-", "yes"])
    assert "every instance applies a change within 60 s" in shown
    assert await output(client, commands.limits) == shown
    reset = await output(client, commands.limits, "--reset", "tenant_day", "--reset", "owner_day")
    assert "yes" not in reset.replace(shown, "")


@pytest.mark.parametrize("text", ["tenant_day", "tenant_day=", "=5"])
async def test_a_change_without_a_name_and_a_value_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="expected NAME=VALUE"):
        await output(author(), commands.limits, "--set", text)


async def test_a_wrong_change_says_which_value_is_wrong() -> None:
    with pytest.raises(ApiError, match=r"values\.owner_burst.*whole number.*status 400"):
        await output(author(), commands.limits, "--set", "owner_burst=1.5")


async def test_batches_are_listed_shown_and_cancelled() -> None:
    one = api()
    wrong = await ended_batch(one, await create(one, ["wrong"]))
    right = await ended_batch(one, await create(one, [line(0)]))
    client = caller(one, "mine")
    header, *rows = (await output(client, commands.batches)).splitlines()
    assert header.split()[:3] == ["id", "created_at", "status"]
    assert {row.split()[0] for row in rows} == {right["id"], wrong["id"]}
    assert "line 1: The line is not JSON" in await output(client, commands.batches, wrong["id"])
    shown = json.loads(await output(client, commands.batches, right["id"], "--cancel", "--json"))
    assert (shown["id"], shown["status"]) == (right["id"], "completed")
    empty = await ended_batch(one, await create(one, [""]))
    assert "\nThe input file has no line" in await output(client, commands.batches, empty["id"])
    with pytest.raises(ApiError, match="--cancel needs the id of a batch"):
        await output(client, commands.batches, "--cancel")


async def test_a_batch_that_pauses_for_its_budget_says_so() -> None:
    one = serving(2, budgets=Budgets(limits={BudgetScope.TENANT_DAY: LIMIT}))
    batch = await begun(one)
    await spends_it_all(one)
    await one.world.app.batches.run_line.run({**wire_of_batch(batch), "line": 0})
    client = caller(one, "mine")
    for arguments in ((), (batch.id,)):
        shown = await output(client, commands.batches, *arguments)
        assert f"\n{batch.id}  paused: Your organisation's budget for the day" in shown


def answering(body: AsyncIterator[bytes], **headers: str) -> ApiClient:
    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, content=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    return ApiClient(httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1:1"))


async def without_end(part: bytes) -> AsyncIterator[bytes]:
    while True:
        yield part


async def test_an_answer_without_an_end_is_cut_at_its_bound() -> None:
    with pytest.raises(ApiError, match="more than 33554432 bytes"):
        await output(answering(without_end(b" " * 2**20)), commands.fleet)


async def test_a_line_of_a_stream_without_an_end_is_cut_at_its_bound() -> None:
    one = answering(without_end(b"x" * 2**20), content_type="text/event-stream")
    with pytest.raises(ApiError, match="more than 33554432 bytes"):
        await output(one, commands.follow, "resp_a")


async def test_a_compressed_answer_is_refused() -> None:
    one = answering(without_end(b"x"), content_encoding="gzip")
    with pytest.raises(ApiError, match="compressed"):
        await output(one, commands.fleet)
    with pytest.raises(ApiError, match="compressed"):
        await output(one, commands.follow, "resp_a")
