"""How does the product's client call each system through that system's stand-in?"""

import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from clients.backends.credentials import HttpCall
from clients.backends.http_backend import HttpBackend
from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from clients.identity.aws import RoleCredentials, short_term_key, signed_headers
from domain.config.fleet_toml import fleet_from_toml
from domain.content.items import ImageInput, Item, Role
from domain.fleet.catalog import AuthKind, Backend
from domain.fleet.failure_classes import Failure
from domain.turns.response import Sampling
from standins.clock import now
from standins.issuer.aws_keys import issued_credentials
from standins.issuer.federation import SERVICE_ACCOUNT
from standins.systems.doors import DOORS, Door
from standins.systems.identities import REGION, SECRET, Aws, Bearer, Entra, GoogleAccess, Tokens
from standins.systems.service import Served
from tests.domain.fleets import PRICES, SHIPPED_SYSTEMS
from tests.fakes.backends import http_backend
from tests.standins.systems.serving import ServedSystems, issuers, served_systems

CONTEXT = ssl.create_default_context()

FLEET = """
[models.scripted]
context_tokens = 32768
tier = 1
[backends.one]
model = "scripted"
system = "{system}"
url = "{url}"
price = "{price}"
{auth}
limits = {{ context_tokens = 32768, max_output_tokens = 1024, concurrency = 4, request_timeout_s = 20 }}
speed = {{ prefill_tokens_s = 1000, decode_tokens_s = 50 }}
"""

PROMPTED = ("triton-generate", "kserve-infer")
UNCOUNTED = ("azure-ml-score", "kserve-infer")
"""They name neither tokens nor why an answer ended, so that only a price of time fits them."""
TEMPLATE = 'prompt = { template = "chatml" }'
"""The form of prompts, which a backend gives and not its system."""


def role_credentials() -> RoleCredentials:
    expires_at = int(now()) + 900
    issued = issued_credentials(expires_at)
    return RoleCredentials(
        access_key=issued.access_key,
        secret_key=issued.secret_key,
        token=issued.session_token,
        expires_at=expires_at,
    )


@dataclass(slots=True)
class KeyRing:
    """The credentials that a stand-in demands. AWS's are signed by the product; `is_wrong` gives others."""

    is_wrong: bool = False
    rejections: int = 0
    keys: RoleCredentials = field(default_factory=role_credentials)

    async def header(self, backend: Backend, call: HttpCall) -> Mapping[str, str]:
        identity, auth = DOORS[backend.system].identity, backend.auth
        if isinstance(identity, Bearer):
            return {"authorization": f"Bearer {'another' if self.is_wrong else SECRET}"}
        if isinstance(identity, Tokens):
            return {"authorization": f"Bearer {self.token(identity, call)}"}
        if not isinstance(identity, Aws):
            return {}
        keys = replace(self.keys, secret_key="x" * 64) if self.is_wrong else self.keys
        service, region = auth.service or "", auth.region or ""
        if auth.kind is AuthKind.AWS_KEY:
            return {"authorization": f"Bearer {short_term_key(keys, service=service, region=region)}"}
        return signed_headers(keys, call, service=service, region=region)

    def token(self, identity: Tokens, call: HttpCall) -> str:
        """Return the token that a door demands; a wrong one is for something else."""
        entra, keys = issuers()
        if isinstance(identity, Entra):
            resource = "https://graph.microsoft.com" if self.is_wrong else identity.resource
            return entra.identity_token(now=now(), resource=resource)
        if isinstance(identity, GoogleAccess):
            subject = "another" if self.is_wrong else SERVICE_ACCOUNT
            return keys.google.access_token(now=now(), subject=subject, lifetime_s=60)
        origin = "https://another" if self.is_wrong else str(httpx.URL(call.url).copy_with(raw_path=b"/")).rstrip("/")
        return keys.google.id_token(now=now(), audience=origin, lifetime_s=60, with_email=True)

    def rejected(self, backend: Backend) -> None:
        self.rejections += 1


@dataclass(slots=True, kw_only=True)
class Scene:
    """One system's backend with its shipped table, and the product's client of it."""

    name: str
    served: ServedSystems
    client: HttpBackend
    ring: KeyRing

    @property
    def door(self) -> Door:
        return DOORS[self.name]

    @property
    def backend(self) -> Backend:
        return self.client.backend

    @property
    def last(self) -> Served:
        """The last request that the stand-in got."""
        return self.served.systems.recorded[-1]

    async def awake(self) -> None:
        await self.served.awake(self.name)

    async def pieces(self, request: BackendCall) -> list[TextPiece | AnswerEnd]:
        async with self.client.stream(request) as pieces:
            return [piece async for piece in pieces]

    async def failure(self, request: BackendCall | None) -> Failure:
        """Return the failure of a call, or of the probe where there is none."""
        with pytest.raises(BackendError) as caught:
            await (self.client.probe() if request is None else self.pieces(request))
        return caught.value.failure


@asynccontextmanager
async def scene_of(
    name: str, *, is_wrong: bool = False, start_s: float = 0.2, rate: float = 0.0
) -> AsyncGenerator[Scene]:
    http = httpx.AsyncClient(trust_env=False, verify=CONTEXT)
    async with served_systems(start_s=start_s, rate=rate) as served, http:
        ring = KeyRing(is_wrong=is_wrong)
        backend = backend_of(name, served.url(name), secret="another" if is_wrong else SECRET)
        client = http_backend(backend, http, silence_s=5, credentials=ring)
        yield Scene(name=name, served=served, client=client, ring=ring)


def backend_of(name: str, url: str, *, secret: str = SECRET, prompt: str = TEMPLATE) -> Backend:
    """Return a backend of a shipped system. Its credentials are those of a KeyRing."""
    auth = f'auth = {{ region = "{REGION}" }}' if isinstance(DOORS[name].identity, Aws) else 'auth = { kind = "none" }'
    price = "gpu" if name in UNCOUNTED else "api"
    text = FLEET.format(system=name, url=url, price=price, auth=f"{auth}\n{prompt if name in PROMPTED else ''}")
    variables = {"MODAL_KEY": secret, "MODAL_SECRET": secret}
    found = fleet_from_toml(text, variables, PRICES, SHIPPED_SYSTEMS).backends["one"]
    return replace(found, served_model=found.served_model or "scripted")


def asking(text: str, images: Sequence[str] = (), **changes: Any) -> BackendCall:
    pictures = tuple(ImageInput(url=url) for url in images)
    asked = Item(id="1", role=Role.USER, text=text, images=pictures)
    fields: dict[str, Any] = {
        "instructions": "Be brief.",
        "items": (asked,),
        "sampling": Sampling(),
        "max_output_tokens": 1024,
    }
    return BackendCall(**(fields | changes))
