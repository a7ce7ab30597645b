"""Does an operator see what the sessions of a GPU earned or lost against answering elsewhere?"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.api.endpoints.reports.test_fleet import FOREIGN, GPU, attempt, mixed_fleet, run_session
from tests.api.harness import Api

PATH = "/v1/fleet/gpu/investment"
OPERATES: Mapping[str, str] = {"authorization": "Bearer operator"}


async def investment(one: Api) -> Mapping[str, Any]:
    answer = await one.http.get(PATH, headers=OPERATES)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def one_session(one: Api, *, saved: str) -> None:
    """Let a turn save something, and run a session of 30 s and an idle period."""
    if saved:
        await one.world.app.state.demand_log.add(GPU, Decimal(saved), busy_s=2.0)
    await run_session(one)


async def test_a_session_earns_what_its_turns_save_less_its_cost() -> None:
    one = mixed_fleet()
    began = one.world.clock.now()
    await one_session(one, saved="9")
    found = await investment(one)
    (session,) = found["sessions"]
    assert session["elsewhere_usd"] == "9.000000000"
    assert Decimal(session["earned_usd"]) == 9 - Decimal(session["cost_usd"])
    assert (session["started_at"], session["crossed_at"]) == (began, found["spend"][0]["at"])
    assert [(each["saved_usd"], each["spent_usd"]) for each in found["spend"]] == [("9.000000000", "9.000000000")]
    assert Decimal(found["buys_at_usd"]) == Decimal(found["session_price_usd"]) > 0
    assert FOREIGN.tenant not in str(found)


async def test_a_session_whose_turns_had_no_alternative_is_not_compared() -> None:
    one = mixed_fleet()
    await one_session(one, saved="")
    (session,) = (await investment(one))["sessions"]
    assert (session["elsewhere_usd"], session["earned_usd"], session["crossed_at"]) == (None, None, None)


async def test_the_open_session_counts_until_now() -> None:
    one = mixed_fleet()
    await one.world.app.state.gpu_sessions.enter(GPU, FOREIGN, attempt(FOREIGN, "2"), limit_s=60)
    one.world.clock.advance(100)
    (session,) = (await investment(one))["sessions"]
    assert (session["ended_at"], session["cost_usd"]) == (one.world.clock.now(), "0.039470000")


async def test_an_unchanged_report_is_not_sent_again() -> None:
    one = mixed_fleet()
    first = await one.http.get(PATH, headers=OPERATES)
    again = await one.http.get(PATH, headers={**OPERATES, "if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_the_role_is_required_and_the_backend_has_to_sleep_at_times() -> None:
    one = mixed_fleet()
    assert (await one.http.get(PATH)).status_code == 403
    for name in ("spare", "nothing"):
        answer = await one.http.get(f"/v1/fleet/{name}/investment", headers=OPERATES)
        assert answer.status_code == 404, name
