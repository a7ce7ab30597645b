"""Does a comparison of ways to serve requests equal a calculation by hand, and break even where the simulator does?"""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benches.economics.__main__ import main
from benches.economics.comparison import (
    break_even,
    demand_of,
    machines_needed,
    mixes,
    owning_pays_in,
    ranked,
    strategies,
    terms_of,
)
from benches.economics.inputs import MissingInputError, OwnedMachine, Request, read_machine, read_requests, token_price
from benches.routing.optimum import optimum
from clients.clock import SystemClock
from clients.storage.keys import money_key
from clients.storage.port import Create
from clients.storage.sqlite.store import SqliteStore
from domain.config.prices_toml import prices_from_toml
from domain.identity.owners import Owner
from domain.log.events import TokenUsage
from domain.money.attempt_charge import AttemptCharge
from domain.money.ledger_records import AttemptProgress, AttemptRecord
from domain.routing.rules.replay import ALWAYS, replay
from state.money.economics_runs import EconomicsRuns, PublishedRun
from tests.fakes.worlds import OWNER

PRICES = prices_from_toml("""
[prices.api]
kind = "per_token"
input = "2.50"
output = "10.00"
source = "made up"
date = "2026-11"
region = "here"

[prices.gpu]
kind = "per_second"
granularity_ms = 100
idle_s = 600
bills_cold = true
source = "made up"
date = "2026-11"
region = "here"
components.gpu = { amount = "0.0004", count = "1" }

[prices.large]
kind = "per_second"
granularity_ms = 100
idle_s = 600
bills_cold = true
source = "made up"
date = "2026-11"
region = "here"
components.gpu = { amount = "0.0008", count = "1" }
""")
API = token_price(PRICES, "api")
TEXT = "price=gpu,start_s=60,prefill=1000,decode=50,context=4096,parallel=4"
MACHINE = read_machine(TEXT, PRICES)
OWNED = OwnedMachine(
    purchase_usd=Decimal(5000), power_kw=Decimal("0.4"), kwh_usd=Decimal("0.25"), month_usd=Decimal("36.525")
)
GPU = "price=cloud-run-l4,start_s=60,prefill=1000,decode=50,context=4096,parallel=4"
CHOICE = [
    *("--api", "azure-openai-gpt-4o", "--gpu", GPU, "--controlled-idle-s", "10"),
    *("--owned", "purchase_usd=5000,power_kw=0.4,kwh_usd=0.25,month_usd=36"),
]
FOREIGN = Owner(tenant="99999999-9999-9999-9999-999999999999", subject=OWNER.subject)
TWENTY = [Request(60.0 * number, 1000, 100) for number in range(20)]
"""One request a minute for 20 minutes, of $0.0035 each at the API and 3 s each on the GPU."""


def test_twenty_requests_cost_what_a_calculation_by_hand_says() -> None:
    found = strategies(TWENTY, API, MACHINE, controlled_idle_s=10, owned=OWNED)
    assert found["API alone"] == 20 * Decimal("0.0035")
    assert found["GPU always on"] == 1143 * Decimal("0.0004")
    up_s = 60 + 3 + 19 * 60 - 60 + 600
    assert found["GPU for every request, idle period as billed"] == Decimal(up_s) * Decimal("0.0004")
    assert found["our policy, idle period as billed"] == 20 * Decimal("0.0035")
    assert found["our policy, controlled idle period"] <= 20 * Decimal("0.0035")
    hours = Decimal(1143) / 3600
    assert found["owned, without its purchase"] == (hours * Decimal("0.1") + hours * Decimal("0.05")).quantize(
        Decimal("1e-9")
    )


def test_the_break_even_is_the_rate_at_which_the_simulator_finds_the_same_cost() -> None:
    even = break_even(TWENTY, API, MACHINE)
    assert even.requests_an_hour == Decimal("1.44") / Decimal("0.0035")
    assert abs(even.utilisation - even.requests_an_hour * 3 / 3600 / 4) < Decimal("1e-9")
    gap_s = 3600 / float(even.requests_an_hour)
    steady = [Request(gap_s * number, 1000, 100) for number in range(10_000)]
    demand, terms = demand_of(steady, API, MACHINE), terms_of(MACHINE, 600.0)
    alone = sum(each.saved for each in demand)
    assert replay(demand, ALWAYS, terms).dollars == pytest.approx(alone, rel=0.01)
    assert optimum(demand, terms) == pytest.approx(alone, rel=0.01)


def test_a_busy_instant_needs_more_machines() -> None:
    assert machines_needed(TWENTY, MACHINE) == 1
    assert machines_needed([Request(0.0, 1000, 100)] * 9, MACHINE) == 3


def test_the_cheapest_mix_takes_a_second_type_for_what_does_not_fit_in_the_first() -> None:
    large = read_machine(TEXT.replace("price=gpu", "price=large").replace("4096", "100000"), PRICES)
    small = [Request(float(number), 1000, 100) for number in range(2000)]
    huge = [Request(number + 0.5, 50_000, 100) for number in range(2000)]
    for requests, cheapest in ((small, ("gpu",)), (TWENTY, ()), (sorted((*small, *huge)), ("large",))):
        assert ranked(mixes(requests, API, (MACHINE, large)))[0].gpus == cheapest


def test_owning_pays_in_the_month_in_which_its_purchase_is_saved() -> None:
    """The requests take 1143 s: a month has 2300.79 times as many, and owning costs $109.575 a month."""
    times = Decimal("730.5") * 3600 / 1143
    for saved, month in ((Decimal(500), 10), (Decimal("502.6"), 10), (Decimal(498), 11), (Decimal(6000), 1)):
        assert owning_pays_in((saved + Decimal("109.575")) / times, TWENTY, MACHINE, OWNED) == month
    assert owning_pays_in(Decimal("109.57") / times, TWENTY, MACHINE, OWNED) is None


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (TEXT.replace("start_s=60,", ""), "start_s is missing"),
        (TEXT.replace("price=gpu", "price=api"), "api is no price by time"),
        (TEXT.replace("decode=50", "decode=0"), "decode"),
        (f"{TEXT},colour=red", "colour is unknown"),
    ],
)
def test_a_missing_input_is_named(text: str, missing: str) -> None:
    with pytest.raises(MissingInputError, match=missing):
        read_machine(text, PRICES)


def test_usage_by_hour_is_spread_over_its_hour(tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    file.write_text(
        "hour,attempts,input_tokens,output_tokens,cost_usd\r\n2026-11-29T14,4,400,40,1\r\n", encoding="utf-8"
    )
    found = read_requests(file)
    assert [each.at - found[0].at for each in found] == [0, 900, 1800, 2700]
    assert {each[1:] for each in found} == {(100, 10)}


def test_the_command_prints_the_table_and_writes_the_numbers_and_the_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.csv"
    rows = [f"2023-11-16 18:{number:02d}:00.0,1000,100" for number in range(20)]
    trace.write_text("\n".join(("TIMESTAMP,ContextTokens,GeneratedTokens", *rows)) + "\n", encoding="utf-8")
    inputs = [str(trace), *CHOICE]
    files = ["--json", str(tmp_path / "numbers.json"), "--svg", str(tmp_path / "plot.svg")]
    assert main([*inputs, *files]) == 0
    shown = capsys.readouterr().out
    numbers = json.loads((tmp_path / "numbers.json").read_text(encoding="utf-8"))
    assert numbers["usd"]["API alone"] == "0.070000000"
    assert f"${numbers['usd']['API alone']}" in shown
    assert "Azure OpenAI pricing" in shown
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert drawn.count("<rect") == 1 + len(numbers["usd"]) + len(numbers["mixes"])
    even = f"Break-even at {float(numbers['break_even']['requests_an_hour']):,.0f} requests"
    for title in ("A month of each way", even, "Owning ", "each mix of GPU types"):
        assert title in drawn, title
    assert numbers["mixes"][0] == numbers["cheapest_mix"]
    ET.fromstring(drawn)  # noqa: S314 - our own file
    assert main([*inputs[:2], "no-such-price", *inputs[3:]]) == 1
    assert "--api no-such-price" in capsys.readouterr().err


SETTINGS = {
    "GANGLION_TOKEN_AUDIENCE": "api",
    "GANGLION_TOKEN_TENANTS": OWNER.tenant,
    "GANGLION_TOKEN_KEYS": "keys.json",
}


def settings_file(folder: Path) -> str:
    file = folder / "settings.json"
    file.write_text(json.dumps({"Values": {**SETTINGS, "GANGLION_DATA": str(folder)}}), encoding="utf-8")
    return str(file)


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
