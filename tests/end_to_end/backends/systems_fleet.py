"""Which fleet has a backend of every system, and what does each one cost?"""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from standins.paths import ROOT
from standins.systems.doors import DOORS
from standins.systems.identities import REGION, Aws
from tests.contracts.backends.scene import PROMPTED, TEMPLATE, UNCOUNTED
from tests.end_to_end.callers import Json
from tests.standins.systems.serving import address_of

RATE = 40
SECRETS = (
    "HF_TOKEN",
    "REPLICATE_API_TOKEN",
    "RUNPOD_API_KEY",
    "BEAM_TOKEN",
    "AZURE_ML_SERVERLESS_KEY",
    "MODAL_KEY",
    "MODAL_SECRET",
    "A_TOKEN",
)
OWN_AUTH = {
    "openai": 'auth = { kind = "static_bearer", setting = "A_TOKEN" }',
    "openai-responses": 'auth = { kind = "static_bearer", setting = "A_TOKEN" }',
}
INPUT_USD, CACHED_USD, WRITTEN_USD, OUTPUT_USD = Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(15)
REQUEST_USD = Decimal("0.000002")
SECOND_USD = Decimal("0.001")
REPLICATE = "replicate"
FUNCTION = "lambda-invoke"
"""Each call is billed by itself, by the milliseconds that the service reports."""
PRICED = {**dict.fromkeys(UNCOUNTED, "machines"), FUNCTION: "functions"}
PRICE = f"""
[prices.systems]
kind = "per_token"
input = "{INPUT_USD}"
cached_input = "{CACHED_USD}"
cache_write = "{WRITTEN_USD}"
request = "{REQUEST_USD}"
output = "{OUTPUT_USD}"
source = "made up"
date = 2026-11-29
region = "laptop"
[prices.functions]
kind = "per_second"
components.gb = {{ amount = "{SECOND_USD}", count = "10" }}
request = "{REQUEST_USD}"
granularity_ms = 1
source = "made up"
date = 2026-11-29
region = "laptop"
[prices.machines]
kind = "per_second"
components.machine = {{ amount = "{SECOND_USD}" }}
granularity_ms = 1
source = "made up"
date = 2026-11-29
region = "laptop"
"""
BACKEND = """
[backends.{name}]
model = "scripted"
system = "{system}"
url = "{url}"
served_model = "scripted"
price = "{price}"
{more}
limits = {{ context_tokens = 32768, max_output_tokens = 1024, concurrency = 8, request_timeout_s = 60 }}
cold = {{ scales_to_zero = {sleeps}, p50_s = 1, p99_s = 6, warm_up_hold_s = 0.3, idle_s = 60 }}
speed = {{ prefill_tokens_s = 20000, decode_tokens_s = {rate} }}
"""


def name_of(system: str) -> str:
    return f"of-{system.replace('.', '-')}"


def entry(system: str, url: str, more: str, *, sleeps: bool) -> str:
    price = PRICED.get(system, "systems")
    name, flag = name_of(system), json.dumps(sleeps)
    return BACKEND.format(name=name, system=system, price=price, url=url, more=more, sleeps=flag, rate=RATE)


def files(folder: Path) -> Mapping[str, str]:
    """Write a fleet with a backend of each system, and its prices, and return where they are."""
    fleet, prices = folder / "fleet.toml", folder / "prices.toml"
    prices.write_text((ROOT / "prices.toml").read_text(encoding="utf-8") + PRICE, encoding="utf-8")
    entries = [(ROOT / "fleet.toml").read_text(encoding="utf-8")]
    for system, door in DOORS.items():
        aws = f'auth = {{ region = "{REGION}" }}' if isinstance(door.identity, Aws) else ""
        more = f"{OWN_AUTH.get(system, aws)}\n{TEMPLATE if system in PROMPTED else ''}"
        url = address_of("%GANGLION_SYSTEMS_URL%", system)
        entries.append(entry(system, url, more, sleeps=not door.never_sleeps and system != FUNCTION))
    url = "%GANGLION_SYSTEMS_URL%/systems/replicate/v1/models/owner/name"
    entries.append(entry(REPLICATE, url, 'probe = { path = "versions", up = [200] }', sleeps=False))
    fleet.write_text("\n".join(entries), encoding="utf-8")
    return {"GANGLION_FLEET": str(fleet), "GANGLION_PRICES": str(prices)}


def price_of(asked: Json, system: str) -> Decimal:
    """Return what the system bills for a call, in dollars.

    Bedrock reads a quarter of the input from its cache, and writes an eighth to it.
    """
    if system == FUNCTION:
        return 10 * SECOND_USD * asked["billed_ms"] / 1000 + REQUEST_USD
    if system in UNCOUNTED:
        return SECOND_USD * Decimal(str(asked["busy_s"]))
    prompt, output = asked["input_tokens"], asked["output_tokens"]
    cached, written = (prompt // part if system == "bedrock-converse" else 0 for part in (4, 8))
    fresh = prompt - cached - written
    dollars = INPUT_USD * fresh + CACHED_USD * cached + WRITTEN_USD * written + OUTPUT_USD * output
    return dollars / 1_000_000 + REQUEST_USD
