"""Does a turn that needs a cold GPU at Google recover, or fail with the right message, whatever a hop answers?"""

from pathlib import Path
from typing import Any

import pytest

from standins.issuer.federation import MEMBER
from tests.activities.gpus.google_side import OTHER_ANSWER, google_side

pytestmark = pytest.mark.slow

COUNTED = "1 2 3"

REJECTIONS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no managed identity": ({}, {"managed_identity": False}, "assign a managed identity to the app"),
    "no provider": ({}, {"provider": False}, "Google STS refused the Entra token (status 400); configure the workload"),
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


@pytest.mark.parametrize(("scene", "conditions", "message"), REJECTIONS.values(), ids=REJECTIONS)
async def test_the_hop_that_rejects_a_request_is_named_with_what_to_grant(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scene: dict[str, Any],
    conditions: dict[str, Any],
    message: str,
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=60.0, leaps=True, **scene) as side:
        await side.cloud.set(**conditions)
        error = await side.error_of(await side.ask())
        assert message in error
        assert "Traceback" not in error
        assert await side.service.is_cold()


async def test_a_service_account_that_may_not_call_the_service_gets_the_name_of_its_role(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=60.0, leaps=True) as side:
        side.gate.invokers = frozenset()
        assert "grant it roles/run.invoker on the service" in await side.error_of(await side.ask())
        assert await side.service.is_cold()


async def test_a_rejection_whose_cause_is_fixed_does_not_delay_the_next_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=0.2, leaps=True) as side:
        await side.cloud.set(members=[])
        assert "roles/iam.workloadIdentityUser" in await side.error_of(await side.ask())
        await side.cloud.set(members=[MEMBER])
        assert await side.answer_of(await side.ask()) == COUNTED


async def test_after_a_rejection_the_turn_uses_another_backend_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, leaps=True, alternative=True) as side:
        await side.cloud.set(members=[])
        assert await side.answer_of(await side.ask(model="auto")) == OTHER_ANSWER


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
        assert await side.answer_of(response) == COUNTED


async def test_a_token_that_expires_during_the_wait_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=3.0) as side:
        await side.cloud.set(id_lifetime=2)
        assert await side.answer_of(await side.ask()) == COUNTED
        counts = await side.cloud.counts()
        assert 2 <= counts["id-token"] <= 4
        assert counts["id-token"] == counts["sts"] == counts["managed-identity"]
        assert len(await side.service.sessions()) == 1


async def test_a_token_that_cannot_be_renewed_during_the_wait_fails_the_turn_with_what_to_grant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=3.0) as side:
        await side.cloud.set(id_lifetime=2)

        async def revoke() -> None:
            await side.cloud.set(members=[])
            side.world.clock.leaps = True

        response = await side.ask(meanwhile=revoke)
        assert "roles/iam.workloadIdentityUser" in await side.error_of(response)


@pytest.mark.parametrize("ours_s", [-120.0, 120.0])
async def test_our_clock_may_be_two_minutes_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours_s: float) -> None:
    async with google_side(tmp_path, monkeypatch, ahead_s=ours_s) as side:
        assert await side.answer_of(await side.ask()) == COUNTED
        assert (await side.cloud.counts())["id-token"] == 1


@pytest.mark.parametrize("theirs_s", [-120.0, 120.0])
async def test_the_clouds_clock_may_be_two_minutes_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs_s: float
) -> None:
    async with google_side(tmp_path, monkeypatch) as side:
        side.gate.ahead_s = theirs_s
        await side.cloud.set(ahead=theirs_s)
        assert await side.answer_of(await side.ask()) == COUNTED
        assert (await side.cloud.counts())["id-token"] == 1


async def test_a_token_that_expired_while_our_machine_was_suspended_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch) as side:
        assert await side.answer_of(await side.ask()) == COUNTED
        side.world.clock.ahead_s += 60.0
        side.gate.ahead_s = 3700.0
        await side.cloud.set(ahead=3700.0)
        assert await side.answer_of(await side.ask()) == COUNTED
        assert (await side.cloud.counts())["id-token"] == 2


async def test_a_service_whose_clock_is_far_ahead_rejects_every_token_and_the_turn_fails_with_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with google_side(tmp_path, monkeypatch, start_s=60.0, leaps=True) as side:
        side.gate.ahead_s = 3700.0
        assert "status 401" in await side.error_of(await side.ask())
        assert await side.service.is_cold()
