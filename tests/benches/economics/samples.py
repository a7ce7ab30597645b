"""Which requests, prices and machines do the tests of the comparison use?"""

import json
from decimal import Decimal
from pathlib import Path

from benches.economics.inputs import OwnedMachine, Request, read_machine, token_price
from domain.config.prices_toml import prices_from_toml
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


TWENTY = [Request(60.0 * number, 1000, 100) for number in range(20)]
"""One request a minute for 20 minutes, of $0.0035 each at the API and 3 s each on the GPU."""


GPU = "price=cloud-run-l4,start_s=60,prefill=1000,decode=50,context=4096,parallel=4"


CHOICE = [
    *("--api", "azure-openai-gpt-4o", "--gpu", GPU, "--controlled-idle-s", "10"),
    *("--owned", "purchase_usd=5000,power_kw=0.4,kwh_usd=0.25,month_usd=36"),
]


SETTINGS = {
    "GANGLION_TOKEN_AUDIENCE": "api",
    "GANGLION_TOKEN_TENANTS": OWNER.tenant,
    "GANGLION_TOKEN_KEYS": "keys.json",
}


def settings_file(folder: Path) -> str:
    file = folder / "settings.json"
    file.write_text(json.dumps({"Values": {**SETTINGS, "GANGLION_DATA": str(folder)}}), encoding="utf-8")
    return str(file)
