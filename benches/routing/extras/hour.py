"""Does an hour of a trace cost the same on devhost as in virtual time? `python -m benches.routing.extras.hour [SPEED]`

The same requests go through the whole product with a GPU stand-in that is paid by time and an API stand-in that is paid
by tokens, and through `benches.routing.product`. All times of the services and of the trace are a tenth, all prices are
ten times as high, so the dollars are those of the hour; a lower speed is for a machine that has other work. Before the
hour, the demand of the trace on four days is put into the log of the product, and its timer chooses the rule that both
runs follow. At speed 10 it takes seven minutes. While the GPU is up, `GET /v1/fleet` is read once a second; the last
table has what it said half way.
"""

import asyncio
import math
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, override

import httpx

from benches.command_line import chosen_number
from benches.routing.arrivals import HOUR_S, TrafficRequest
from benches.routing.cells import GPT_4O, SPEED, Cell, api_price, drawn
from benches.routing.product import Outcome, VirtualProduct
from benches.routing.services import token_dollars
from benches.tables import print_table
from clients.clock import SystemClock
from domain.money.prices import TokenPrice
from domain.routing.rules.rule_choice import DAY_S, RuleChoice
from settings import ROOT
from standins.clock import now
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from state.fleet.demand_log import DemandLog
from state.fleet.fleet_counters import FleetCounters
from state.fleet.rental_rules import RentalRules
from tests.end_to_end.books import books_of
from tests.end_to_end.cold import GPU, UNBOUNDED
from tests.end_to_end.conftest import HASTY
from tests.fakes.clocks import FakeClock, in_no_time

FAST: Final = next((int(each) for each in sys.argv[1:] if each.isdecimal() and int(each)), 10)
"""How many times as fast as the hour everything happens."""

API: Final = "scripted"
START_S, IDLE_S, ROOM = 60 / FAST, 600 / FAST, 8
GPU_HOUR_USD: Final = round(1.421 * FAST, 3)
PROMPT: Final = 12
"""The tokens of a prompt `COUNT n`, about: they cost little beside the answer."""

EARLIER_DAYS: Final = 4
LOOK_S: Final = 1.0
LOOKS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class FastCell(Cell):
    """The tokens of an answer are fewer by the speed, so each of them costs more by it."""

    @property
    @override
    def token_price(self) -> TokenPrice:
        price = api_price(GPT_4O)
        dearer = {
            "input": FAST * price.input,
            "cached_input": FAST * price.cached_input,
            "output": FAST * price.output,
        }
        return replace(price, **dearer)


CELL: Final = FastCell(
    name="hour",
    arrivals=drawn("quarters", 1200, 400, seed=3),
    start_s=START_S,
    spread=0.0,
    idle_s=IDLE_S,
    room=ROOM,
    gpu_hour_usd=GPU_HOUR_USD,
)


def requests_of_hour() -> Sequence[TrafficRequest]:
    """Return the requests of the first hour of the trace; time and answers are shorter by the speed."""
    return [
        TrafficRequest(each.at / FAST, PROMPT, max(1, math.ceil(each.output_tokens / FAST)))
        for each in CELL.arrivals.draw()
        if each.at < HOUR_S
    ]


def files(folder: Path) -> dict[str, str]:
    """Write the fleet and the prices of the cell; return the settings that name them."""
    price = CELL.token_price
    fleet, prices = folder / "fleet.toml", folder / "prices.toml"
    limits = "context_tokens = 131072, max_output_tokens = 8192, request_timeout_s = 600, concurrency = "
    speed = f"{{ prefill_tokens_s = {SPEED.prefill_tokens_s}, decode_tokens_s = {SPEED.decode_tokens_s} }}"
    shared = f'model = "scripted"\ncontinues = "assistant_prefill"\nregion = "laptop"\nspeed = {speed}\n'
    cold = (
        f"{{ scales_to_zero = true, p50_s = {START_S}, p99_s = {2 * START_S}, warm_up_hold_s = 2, idle_s = {IDLE_S} }}"
    )
    fleet.write_text(
        "[models.scripted]\ncontext_tokens = 131072\ntier = 1\ncapabilities = []\n"
        f'[backends.{API}]\nsystem = "scripted"\nurl = "%GANGLION_SCRIPTED_URL%"\nprice = "tokens"\n{shared}'
        f"limits = {{ {limits}1000 }}\n"
        f'[backends.{GPU}]\nsystem = "cloud-run"\nurl = "%GANGLION_SCRIPTED_GPU_URL%"\nprice = "machine"\n{shared}'
        f'auth = {{ kind = "google_id_token" }}\ncold = {cold}\nlimits = {{ {limits}{ROOM} }}\n',
        encoding="utf-8",
    )
    origin = 'source = "made up"\ndate = 2026-11-30\nregion = "laptop"\n'
    tokens = f'input = "{price.input}"\ncached_input = "{price.cached_input}"\noutput = "{price.output}"\n'
    second = Decimal(str(CELL.second_usd)).quantize(Decimal("1E-9"))
    shipped = (ROOT / "prices.toml").read_text(encoding="utf-8")
    prices.write_text(
        f'{shipped}\n[prices.tokens]\nkind = "per_token"\n{tokens}{origin}'
        f'[prices.machine]\nkind = "per_second"\ngranularity_ms = 100\nidle_s = {IDLE_S:g}\n{origin}'
        f'components.machine = {{ amount = "{second}" }}\n',
        encoding="utf-8",
    )
    return {"GANGLION_FLEET": str(fleet), "GANGLION_PRICES": str(prices)}


@dataclass(slots=True, kw_only=True)
class DevhostHour:
    """What happened on devhost: the ids of the turns, and what `GET /v1/fleet` said of the GPU."""

    cluster: LocalCluster
    http: httpx.AsyncClient
    ids: list[str] = field(default_factory=list[str])
    looks: list[Any] = field(default_factory=list[Any])

    async def turn(self, request: TrafficRequest) -> None:
        await asyncio.sleep(request.at)
        body = {"model": "auto", "input": f"COUNT {request.output_tokens}"}
        answer = await self.http.post("/v1/responses", json=body)
        assert answer.json()["status"] == "completed", answer.text
        self.ids.append(answer.json()["id"])

    async def look(self) -> None:
        """Read the fleet once a second for as long as the run takes."""
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(httpx.HTTPError):
                answer = await self.http.get("/v1/fleet")
                self.looks += [each for each in answer.json()["data"] if each["id"] == GPU]

    async def run(self, requests: Sequence[TrafficRequest]) -> None:
        looking = asyncio.create_task(self.look())
        await asyncio.gather(*map(self.turn, requests))
        await self.final()
        looking.cancel()

    async def final(self) -> None:
        """Return when the bill is final; raises TimeoutError."""
        for _ in range(LOOKS):
            if await self.is_final():
                return
            await asyncio.sleep(LOOK_S)
        raise TimeoutError

    async def is_final(self) -> bool:
        """Tell whether the GPU is down and the bill of the last turn is final."""
        state = (await self.http.get(f"{self.cluster.model_url(GPU)}/admin/state")).json()
        return not state["instances"] and all([await self.is_settled(each) for each in self.ids[-1:]])

    async def is_settled(self, response_id: str) -> bool:
        return (await self.report(response_id))["bill"]["status"] == "final"

    async def report(self, response_id: str) -> Any:
        return (await self.http.get(f"/v1/responses/{response_id}/route")).json()

    async def ledger(self) -> dict[str, float]:
        rows = (await self.http.get("/v1/usage", params={"group_by": "backend"})).json()["data"]
        return {name: sum(float(row["backends_usd"]) for row in rows if row["backend"] == name) for name in (API, GPU)}

    async def sessions(self) -> Sequence[Any]:
        return (await self.http.get(f"{self.cluster.model_url(GPU)}/admin/bill")).json()["sessions"]

    async def api_usd(self) -> float:
        """Return what the API bills: the tokens that it has counted."""
        total, price = Decimal(0), CELL.token_price
        for response_id in self.ids:
            for each in (await self.report(response_id))["attempts"]:
                if each["backend"] == API:
                    total += each["input_tokens"] * price.input + each["output_tokens"] * price.output
        return float(total) / 1e6


async def on_devhost(requests: Sequence[TrafficRequest], folder: Path) -> None:
    environment = {**HASTY, **UNBOUNDED, **files(folder), "GANGLION_DEFAULT_OUTPUT_TOKENS": "8192"}
    options = ClusterOptions(
        data=folder / "data",
        cold=f"{START_S * FAST:g}",
        gpu=("--speed", FAST, "--tail", IDLE_S * FAST),
        rate=SPEED.decode_tokens_s,
        warm_models=True,
        environment=environment,
    )
    async with LocalCluster(options) as cluster:
        token = cluster.issuer.user_token(now=now(), claims={"roles": ["Operations.Read"]})
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(
            base_url=cluster.base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(120),
            limits=limits,
            trust_env=False,
        ) as http:
            hour = DevhostHour(cluster=cluster, http=http)
            rule = await chosen_by_earlier_days(hour, requests)
            await hour.run(requests)
            await compare(hour, requests, rule)


async def chosen_by_earlier_days(hour: DevhostHour, requests: Sequence[TrafficRequest]) -> RuleChoice:
    """Record the demand of the trace on each of some earlier days, and let the product choose its rule by it."""
    gpu, now_s = CELL.gpu(GPU), now()
    async with books_of(hour.cluster.data) as books:
        for day in range(EARLIER_DAYS, 0, -1):
            clock = FakeClock()
            log = DemandLog(books.store, clock, FleetCounters(books.store))
            for each in requests:
                clock.set(now_s - day * DAY_S + each.at)
                saved = Decimal(str(round(token_dollars(CELL.token_price, each), 9)))
                await log.add(gpu, saved, busy_s=each.output_tokens / SPEED.decode_tokens_s)
        answer = await hour.http.post("/admin/functions/sweeper", params={"wait": "true"})
        answer.raise_for_status()
        choice = await RentalRules(books.store, SystemClock()).refresh(gpu)
    assert choice is not None
    assert choice.dollars, choice.reason
    return choice


async def compare(hour: DevhostHour, requests: Sequence[TrafficRequest], rule: RuleChoice) -> None:
    """Print both runs side by side, and what the fleet said while the GPU was up."""
    virtual = await asyncio.to_thread(in_virtual_time, requests, rule)
    sessions, ledger = await hour.sessions(), await hour.ledger()
    gpu_usd = sum(float(each["billed_s"]) for each in sessions) / FAST * CELL.second_usd
    api_usd = await hour.api_usd()
    print(f"{len(requests)} requests; sessions billed for {[each['billed_s'] for each in sessions]} s of the hour")
    print_table(
        ("", "devhost", "virtual time", "ratio"),
        [
            row("sessions", len(sessions), virtual.lives),
            row("bill of the services, $", gpu_usd + api_usd, virtual.bill_usd),
            row("ledger, $", sum(ledger.values()), virtual.ledger_usd),
        ],
    )
    print_fleet(hour.looks)
    print(
        f"devhost: GPU {gpu_usd:.6f} billed, {ledger[GPU]:.6f} in the ledger; API {api_usd:.6f} and {ledger[API]:.6f}"
    )


def print_fleet(looks: Sequence[Any]) -> None:
    """Print why the GPU was up, what it had cost, which rule and rivals it had, and when it was to end."""
    up = [each for each in looks if each["session"] and each["session"]["ends_at"]]
    print(f"GET /v1/fleet showed a session with its end in {len(up)} of {len(looks)} looks")
    for look in up[len(up) // 2 : len(up) // 2 + 1]:
        session, rule = look["session"], look["rule"]
        print_table(
            ("question", "answer"),
            [
                ("why is it up?", f"{rule['reason']}; buys at ${rule['buys_at_usd']}"),
                ("what has it cost?", f"${session['cost_usd']} for {session['members']} attempts"),
                ("what would the rivals have cost?", str(rule["would_have_cost_usd"] or "not replayed yet")),
                ("when will it end?", f"{session['ends_at'] - session['started_at']:.0f} s after its start"),
            ],
        )


def row(name: str, ours: float, theirs: float) -> tuple[str, str, str, str]:
    return name, f"{ours:.6g}", f"{theirs:.6g}", f"{ours / theirs:.4f}" if theirs else "-"


def in_virtual_time(requests: Sequence[TrafficRequest], rule: RuleChoice) -> Outcome:
    async def run() -> Outcome:
        product = VirtualProduct(cell=CELL, requests=requests)
        adopted = replace(rule, at=product.clock.now(), second_usd=CELL.second_usd)
        await product.world.app.state.rental_rules.adopt(CELL.gpu(), adopted)
        return await product.run()

    return in_no_time(run())


def main() -> None:
    chosen_number(FAST, "speed")  # names a wrong one; the right one is `FAST`
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(on_devhost(requests_of_hour(), Path(folder)))


if __name__ == "__main__":
    main()
