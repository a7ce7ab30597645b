"""How are the stand-ins of all systems served inside a test?"""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from standins.clock import now
from standins.issuer.entra_tokens import LocalIssuer, issuer_in
from standins.issuer.google_tokens import google_key_in
from standins.scripted.server import ScriptedModel, TokenPace
from standins.systems.doors import DOORS
from standins.systems.identities import TokenKeys
from standins.systems.service import Systems
from tests.fakes.servers.web_servers import served

ADDRESSES = {
    "lambda-invoke": "functions/f",
    "sagemaker-invocations": "endpoints/e",
    "sagemaker-serverless": "endpoints/e",
}
"""What a backend's address ends with where the stand-in's own paths begin earlier."""


@cache
def issuers() -> tuple[LocalIssuer, TokenKeys]:
    """Return Entra's and Google's local issuers, made once for all tests of a process."""
    data = Path(tempfile.mkdtemp(prefix="issuers-"))
    return issuer_in(data), TokenKeys(data=data, google=google_key_in(data))


class ServedSystems:
    """The stand-ins at an address of their own."""

    def __init__(self, systems: Systems, origin: str) -> None:
        self.systems = systems
        self.origin = origin

    def url(self, name: str) -> str:
        """Return the address of a system's backend, without a slash at its end."""
        return address_of(self.origin, name)

    async def awake(self, name: str) -> None:
        self.systems.instances[name].start_s = 0.0
        await self.systems.instances[name].up()


def address_of(origin: str, name: str) -> str:
    """Return the address of a system's backend behind the stand-ins at `origin`, without a slash at its end."""
    return f"{origin}/systems/{name}/{ADDRESSES.get(name, DOORS[name].base)}".rstrip("/")


@asynccontextmanager
async def served_systems(*, start_s: float = 0.2, rate: float = 0.0) -> AsyncGenerator[ServedSystems]:
    model = ScriptedModel(pace=TokenPace(rate=rate, first_token_s=0.0), continues=True, clock=now)
    systems = Systems(model=model, start_s=start_s, idle_s=600, clock=now, issuers=issuers()[1])
    async with served(systems.application(), cancels=True) as url:
        yield ServedSystems(systems, url)
