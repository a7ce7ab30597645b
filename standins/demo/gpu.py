"""What is the GPU doing, what is billed for it, and how many credential calls did it need?"""

import asyncio
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import httpx

from standins.json_values import Json
from standins.paths import ROOT

POLL_S = 0.05
IDLE_S = 10
"""How long an idle GPU stays up before it scales to zero."""

HOPS = ("managed-identity", "sts", "access-token", "id-token")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMonitor:
    """`url` is the GPU service, `issuer_url` the stand-in for Entra and Google."""

    name: str
    client: httpx.AsyncClient
    url: str
    issuer_url: str

    async def state(self) -> str:
        """Gives cold, starting or ready."""
        instances = (await self.read(f"{self.url}/admin/state"))["instances"]
        return str(instances[0]["state"]) if instances else "cold"

    async def sessions(self) -> list[Json]:
        """Gives the bill: one entry for each instance from start to end."""
        return (await self.read(f"{self.url}/admin/bill"))["sessions"]

    async def credential_calls(self) -> int:
        counts = (await self.read(f"{self.issuer_url}/admin/calls"))["counts"]
        return sum(counts.get(hop, 0) for hop in HOPS)

    async def watch(self, until: str, report: Callable[[str, float], None]) -> None:
        """Reports each new state with the seconds since the call, until the state `until`."""
        loop = asyncio.get_running_loop()
        began, last = loop.time(), ""
        while last != until:
            state = await self.state()
            if state != last:
                report(state, loop.time() - began)
                last = state
            await asyncio.sleep(POLL_S)

    async def sweep(self, base_url: str) -> None:
        """Runs the product's sweeper now instead of at the next minute."""
        (await self.client.post(f"{base_url}/admin/functions/sweeper", params={"wait": "true"})).raise_for_status()

    async def read(self, address: str) -> Json:
        return (await self.client.get(address)).raise_for_status().json()


def dollars_a_second(backend: str) -> Decimal | None:
    """Gives the price of a second of the backend; None when it is not paid by the second."""
    fleet = tomllib.loads((ROOT / "fleet.toml").read_text())["backends"]
    prices = tomllib.loads((ROOT / "prices.toml").read_text())["prices"]
    price = prices.get(fleet.get(backend, {}).get("price"), {})
    if price.get("kind") != "per_second":
        return None
    return sum((Decimal(part["amount"]) * Decimal(part["count"]) for part in price["components"].values()), Decimal(0))
