"""How does a test reach the stand-in for Entra and Google in its own process, as an app behind it would?"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.clock import Clock, SystemClock
from clients.identity.backend_credentials import BackendCredentials
from domain.identity.federation import AwsFederation, Federation, provider_name
from standins.clock import now
from standins.issuer.entra_tokens import issuer_in
from standins.issuer.federation import AWS_ROLE, PROVIDER, RESOURCE, SERVICE_ACCOUNT
from standins.issuer.server import application
from tests.fakes.servers.web_servers import served


class Cloud:
    """The stand-in for Entra and Google, and what an app behind it is configured with."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.AsyncClient(base_url=url)

    async def set(self, **conditions: Any) -> None:
        answer = await self.http.patch("/admin/conditions", content=json.dumps(conditions))
        assert answer.is_success, answer.text

    async def counts(self) -> dict[str, int]:
        return (await self.http.get("/admin/calls")).json()["counts"]

    def federation(self, **changes: Any) -> Federation:
        usual = Federation(
            provider=provider_name(PROVIDER),
            scope=f"{RESOURCE}/.default",
            service_account=SERVICE_ACCOUNT,
            sts_url=self.url,
            iam_url=self.url,
        )
        return replace(usual, **changes)

    def credentials(self, clock: Clock | None = None, **changes: Any) -> BackendCredentials:
        aws = AwsFederation(role=AWS_ROLE, scope=f"{RESOURCE}/.default", sts_url=self.url)
        return BackendCredentials(
            federation=self.federation(**changes), aws=aws, variables={}, clock=clock or SystemClock()
        )


@asynccontextmanager
async def cloud_with(keys: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Cloud]:
    """Serve it with the keys of a folder, and tell this process where its managed identity is."""
    async with served(application(keys, now), grace_s=0.1) as url:
        one = Cloud(url)
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{one.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", issuer_in(keys).secret)
        yield one
        await one.http.aclose()
