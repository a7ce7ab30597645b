"""Is the ledger of a store compared, is a run published there, and is what it lacks named?"""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from benches.economics.__main__ import main
from clients.clock import SystemClock
from clients.storage.keys import money_key
from clients.storage.port import Create
from clients.storage.sqlite.store import SqliteStore
from domain.identity.owners import Owner
from domain.log.events import TokenUsage
from domain.money.attempt_charge import AttemptCharge
from domain.money.ledger_records import AttemptProgress, AttemptRecord
from state.money.economics_runs import EconomicsRuns, PublishedRun
from tests.benches.economics.samples import CHOICE, GPU, settings_file
from tests.fakes.worlds import OWNER

FOREIGN = Owner(tenant="99999999-9999-9999-9999-999999999999", subject=OWNER.subject)


async def fill_ledger(folder: Path) -> None:
    """Store 20 attempts, one a minute; one that counted no tokens, and one of another tenant."""
    store = SqliteStore(folder / "app.db", SystemClock())
    for owner, number, usage in (
        *((OWNER, number, TokenUsage(input_tokens=1000, output_tokens=100)) for number in range(1, 21)),
        (OWNER, 21, None),
        (FOREIGN, 1, TokenUsage(input_tokens=9, output_tokens=9)),
    ):
        attempt = AttemptRecord(
            response=f"resp_{number}",
            subject=owner.subject,
            number=1,
            backend="gpu",
            price="gpu",
            started_at=1_795_000_000.0 + 60 * number,
            charge=AttemptCharge(reserved=Decimal(1)),
            progress=AttemptProgress(usage=usage),
        )
        await store.commit(money_key(owner.tenant), (Create(id=attempt.id, body=attempt.to_document()),))
    await store.close()


def published(folder: Path, tenant: str) -> PublishedRun | None:
    async def read() -> PublishedRun | None:
        store = SqliteStore(folder / "app.db", SystemClock())
        try:
            return await EconomicsRuns(store, SystemClock()).latest(tenant)
        finally:
            await store.close()

    return asyncio.run(read())


def test_the_ledger_of_a_store_is_compared_and_the_run_is_published_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill_ledger(tmp_path))
    asked = ["ledger", *CHOICE, "--tenant", OWNER.tenant, "--settings", settings_file(tmp_path)]
    assert main([*asked, "--publish"]) == 0
    run = published(tmp_path, OWNER.tenant)
    assert run is not None
    assert (run.report["requests"], run.report["usd"]["API alone"]) == (20, "0.070000000")
    assert run.report["inputs"]["gpus"] == [GPU]
    assert published(tmp_path, FOREIGN.tenant) is None
    assert "20 requests" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (["--settings", "nowhere.json"], "--settings nowhere.json"),
        (["--tenant", ""], "--tenant: expected the tenant"),
        (["--tenant", "nobody"], "ledger: no attempt of the tenant nobody"),
    ],
)
def test_what_the_ledger_lacks_is_named(
    changed: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["ledger", *CHOICE, "--tenant", OWNER.tenant, "--settings", settings_file(tmp_path)]
    assert main([*asked, *changed]) == 1
    assert problem in capsys.readouterr().err


def test_a_damaged_store_and_missing_prices_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["ledger", *CHOICE, "--tenant", OWNER.tenant, "--settings", settings_file(tmp_path)]
    (tmp_path / "app.db").write_bytes(b"no database" * 1000)
    assert main(asked) == 1
    assert "the file of the store is damaged" in capsys.readouterr().err
    assert main([*asked, "--prices", "nowhere.toml"]) == 1
    assert "nowhere.toml" in capsys.readouterr().err
