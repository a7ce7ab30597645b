"""Does a turn that meets a sleeping GPU at Google end with the right message, or recover, whatever a hop says?"""

from pathlib import Path
from typing import Any

import pytest

from standins.issuer.federation import MEMBER
from tests.activities.google_side import ELSEWHERE, google_side

COUNTED = "1 2 3"

REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no managed identity": ({}, {"managed_identity": False}, "assign a managed identity to the app"),
    "no provider": ({}, {"provider": False}, "Google STS refused the Entra token (status 400); let the workload"),
    "STS refuses the audience": (
        {"federation": {"scope": "api://another/.default"}},
        {},
        "Google STS refused the Entra token (status 400)",
    ),
    "Entra token expired": ({}, {"entra_lifetime": -1}, "Google STS refused the Entra token"),
    "role missing": ({}, {"members": []}, "grant roles/iam.workloadIdentityUser on the service account"),
    "no such account": (
        {"federation": {"service_account": "another@ganglion-demo.iam.gserviceaccount.com"}},
        {},
        "Google IAM Credentials refused to impersonate the service account (status 404)",
    ),
    "audience wrong": ({"audience": "https://another.example"}, {}, "its audience must be the address of the service"),
}


@pytest.mark.parametrize(("scene", "conditions", "said"), REFUSALS.values(), ids=REFUSALS)
async def test_a_hop_that_refuses_is_named_with_what_to_grant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scene: dict[str, Any],
    conditions: dict[str, Any],
    said: str,
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=60.0, leaps=True, **scene) as side:
        await side.cloud.set(**conditions)
        message = await side.told(await side.ask())
        assert said in message
        assert "Traceback" not in message
        assert await side.service.is_cold()


async def test_a_service_account_that_may_not_call_the_service_is_told_its_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=60.0, leaps=True) as side:
        side.gate.invokers = frozenset()
        assert "grant it roles/run.invoker on the service" in await side.told(await side.ask())
        assert await side.service.is_cold()


async def test_what_was_refused_and_is_granted_since_costs_the_next_turn_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=0.2, leaps=True) as side:
        await side.cloud.set(members=[])
        assert "roles/iam.workloadIdentityUser" in await side.told(await side.ask())
        await side.cloud.set(members=[MEMBER])
        assert await side.answered(await side.ask()) == COUNTED


async def test_a_refusal_sends_the_turn_elsewhere_where_somebody_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, leaps=True, alternative=True) as side:
        await side.cloud.set(members=[])
        assert await side.answered(await side.ask(model="auto")) == ELSEWHERE


async def test_an_sts_that_is_down_for_a_moment_costs_a_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=0.2, leaps=True) as side:
        await side.cloud.set(faults={"sts": "503"})
        response = await side.world.admit("COUNT 3")
        await side.world.steps["anticipate"](
            {
                "tenant": response.owner.tenant,
                "subject": response.owner.subject,
                "response": response.id,
                "traceparent": "",
            }
        )
        assert (await side.cloud.counts())["sts"] == 1
        await side.cloud.set(faults={})
        await side.world.run(response)
        assert await side.answered(response) == COUNTED


async def test_a_token_that_expires_in_mid_wait_is_had_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=3.0) as side:
        await side.cloud.set(id_lifetime=2)
        assert await side.answered(await side.ask()) == COUNTED
        counts = await side.cloud.counts()
        assert 2 <= counts["id-token"] <= 4
        assert counts["id-token"] == counts["sts"] == counts["managed-identity"]
        assert len(await side.service.sessions()) == 1


async def test_a_token_that_expires_in_mid_wait_and_is_refused_then_ends_the_turn_with_what_to_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=3.0) as side:
        await side.cloud.set(id_lifetime=2)

        async def revoke() -> None:
            await side.cloud.set(members=[])
            side.world.clock.leaps = True

        response = await side.ask(meanwhile=revoke)
        assert "roles/iam.workloadIdentityUser" in await side.told(response)


@pytest.mark.parametrize("ours_s", [-120.0, 120.0])
async def test_our_clock_may_be_two_minutes_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours_s: float) -> None:
    async with google_side(tmp_path, monkeypatch, ahead_s=ours_s) as side:
        assert await side.answered(await side.ask()) == COUNTED
        assert (await side.cloud.counts())["id-token"] == 1


@pytest.mark.parametrize("theirs_s", [-120.0, 120.0])
async def test_the_clouds_clock_may_be_two_minutes_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs_s: float
) -> None:
    async with google_side(tmp_path, monkeypatch) as side:
        side.gate.ahead_s = theirs_s
        await side.cloud.set(ahead=theirs_s)
        assert await side.answered(await side.ask()) == COUNTED
        assert (await side.cloud.counts())["id-token"] == 1


async def test_a_token_that_has_expired_unseen_while_our_machine_was_suspended_is_had_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch) as side:
        assert await side.answered(await side.ask()) == COUNTED
        side.world.clock.ahead_s += 60.0
        side.gate.ahead_s = 3700.0
        await side.cloud.set(ahead=3700.0)
        assert await side.answered(await side.ask()) == COUNTED
        assert (await side.cloud.counts())["id-token"] == 2


async def test_a_service_whose_clock_is_far_ahead_of_googles_believes_no_token_and_the_turn_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=60.0, leaps=True) as side:
        side.gate.ahead_s = 3700.0
        assert "status 401" in await side.told(await side.ask())
        assert await side.service.is_cold()
