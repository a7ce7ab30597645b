"""Which applications does a test examine, and how does the outside answer there?"""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clients.backends.credentials import Hop, hop_denied
from clients.backends.port import AnswerEnd, BackendCall, BackendClient, BackendError, TextPiece
from clients.identity.discovery import IssuerDiscovery
from clients.storage.cosmos.containers import DEFINITIONS, as_resource
from clients.storage.port import DocumentStore
from domain.content.tools import ToolConfig
from domain.errors import Unavailable
from domain.fleet.catalog import Backend
from domain.fleet.failure_classes import Failure
from domain.identity.access_tokens import TokenIssuer
from ganglion.doctor.areas.package_checks import FILES, PACKAGES
from ganglion.doctor.outside import Answer, UnreachableError
from ganglion.doctor.subject import Subject, Target
from settings import ROOT, Settings
from tests.fakes.clocks import FakeClock
from tests.fakes.contents import MemoryContents
from tests.fakes.stores import MemoryStore

NOW = 1_795_176_000.0
"""2026-11-20, when the shipped prices are recent."""

AUDIENCE = "33333333-3333-3333-3333-333333333333"
TENANT = "11111111-1111-1111-1111-111111111111"
PERSON = "22222222-2222-2222-2222-222222222222"
CLAIMS = {
    "aud": AUDIENCE,
    "azp": PERSON,
    "exp": NOW + 3600,
    "iat": NOW,
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "nbf": NOW,
    "oid": PERSON,
    "scp": "access_as_user",
    "tid": TENANT,
    "ver": "2.0",
}
PUBLIC, PRIVATE = "13.66.138.96", "10.0.0.4"
APP = "https://ganglion.azurewebsites.net"
BEDROCK = """
[backends.bedrock]
model = "gpt-4.1-mini"
system = "bedrock"
url = "%GANGLION_BEDROCK_URL%"
price = "azure-openai-gpt-4.1-mini"
continues = "no"
auth = { kind = "aws_key", service = "bedrock", region = "us-east-1" }
limits = { context_tokens = 8192, max_output_tokens = 1024, concurrency = 10, request_timeout_s = 600 }
speed = { prefill_tokens_s = 10000, decode_tokens_s = 80 }
"""
VARIABLES = {
    "APPLICATIONINSIGHTS_CONNECTION_STRING": f"InstrumentationKey={AUDIENCE};IngestionEndpoint=https://in.example"
    f";ApplicationId={AUDIENCE}",
    "AZURE_FUNCTIONS_DURABLE_STRICT_TYPING": "1",
    "AzureFunctionsJobHost__extensions__durableTask__storageProvider__type": "azureManaged",
    "AzureWebJobsStorage__accountName": "account",
    "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": "Endpoint=https://hub.example;Authentication=ManagedIdentity",
    "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "220200960",
    "GANGLION_AWS_ROLE": "arn:aws:iam::123456789012:role/ganglion",
    "GANGLION_AWS_SUBJECT_SCOPE": "api://ganglion-federation/.default",
    "GANGLION_AZURE_OPENAI_URL": "https://openai.example/v1",
    "GANGLION_BEDROCK_URL": "https://bedrock.example/openai/v1",
    "GANGLION_BLOB_URL": "https://files.blob.core.windows.net",
    "GANGLION_BUDGET_TENANT_MONTH": "100",
    "GANGLION_CLOUD_RUN_L4_URL": "https://gpu.example/v1",
    "GANGLION_COSMOS_URL": "https://account.documents.azure.com",
    "GANGLION_CRM_URL": "https://crm.example",
    "GANGLION_LETTERS_URL": "https://letters.blob.core.windows.net",
    "GANGLION_GOOGLE_PROVIDER": "projects/1/locations/global/workloadIdentityPools/pool/providers/azure",
    "GANGLION_GOOGLE_SERVICE_ACCOUNT": "caller@project.iam.gserviceaccount.com",
    "GANGLION_GOOGLE_SUBJECT_SCOPE": "api://ganglion-federation/.default",
    "GANGLION_STORE": "cosmos",
    "GANGLION_TOKEN_AUDIENCE": AUDIENCE,
    "GANGLION_TOKEN_TENANTS": TENANT,
    "GANGLION_WEBHOOK_SECRET": "whsec_" + "c2VjcmV0" * 4,
    "GANGLION_WEBHOOK_URL": "https://hooks.example/in",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example",
    "TICKETS__queueServiceUri": "https://files.queue.core.windows.net",
    "WEBSITE_INSTANCE_ID": "1",
}
PIPELINE = f"""
[pipelines.tickets]
trigger = "queue"
queue = "tickets"
connection = "TICKETS"
input = "data.text"
model = "auto"
instructions = "Summarize the ticket."
owner = {{ tenant = "{TENANT}", app = "{PERSON}" }}
"""
BACKENDS = ["azure-openai", "bedrock", "cloud-run-l4"]


def healthy_answers() -> dict[str, Answer]:
    date = {"date": formatdate(NOW, usegmt=True)}
    ready = {"status": "ok", "parts": {"store": "ok"}, "backends": BACKENDS}
    return {
        "https://login.microsoftonline.com": Answer(status=200, headers=date),
        "https://account.documents.azure.com": Answer(status=401, headers=date),
        "https://openai.example/v1/models": models("gpt-4.1-mini"),
        "https://gpu.example/v1/models": models("llama-3.1-8b"),
        "https://collector.example/v1/traces": Answer(status=200),
        f"{APP}/healthz": Answer(status=200),
        f"{APP}/readyz": json_answer(ready),
    }


def json_answer(body: Mapping[str, Any], *, status: int = 200) -> Answer:
    return Answer(status=status, body=json.dumps(body).encode())


def models(*names: str) -> Answer:
    return json_answer({"data": [{"id": name} for name in names]})


def containers() -> dict[str, dict[str, Any] | None]:
    return {each.container.value: as_resource(each) for each in DEFINITIONS}


def token_of(claims: Mapping[str, Any]) -> str:
    header = {"alg": "RS256", "kid": "k", "typ": "JWT"}
    parts = (json.dumps(part).encode() for part in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"signed"))


@dataclass(slots=True, kw_only=True)
class FakeModel:
    """A backend that answers at once. `failures` maps a kind of call to its failure: probe, answer, json, partial."""

    failures: dict[str, Failure] = field(default_factory=dict[str, Failure])
    json_text: str = '{"number": 7}'
    pause_s: float = 0.0

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        kind = "partial" if call.partial else ("answer" if call.tools == ToolConfig() else "json")
        if kind in self.failures:
            raise BackendError(self.failures[kind])
        texts = [self.json_text] if kind == "json" else [f" {number}" for number in range(1, 21)]
        yield self.pieces(texts)

    async def pieces(self, texts: Sequence[str]) -> AsyncIterator[TextPiece | AnswerEnd]:
        for text in texts:
            await asyncio.sleep(self.pause_s)
            yield TextPiece(text=text)
        yield AnswerEnd(reason="stop", usage=None)

    async def authenticate(self) -> None:
        """Do nothing: credentials have checks of their own."""

    async def probe(self) -> None:
        if "probe" in self.failures:
            raise BackendError(self.failures["probe"])


@dataclass(slots=True, kw_only=True)
class FakeOutside:
    """Answers as planned. `addresses` are those of single names, `denied` maps backends to the hop that refuses."""

    store_port: DocumentStore
    contents: MemoryContents = field(default_factory=MemoryContents)
    answers: dict[str, Answer] = field(default_factory=healthy_answers)
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unreachable: set[str] = field(default_factory=set[str])
    denied: dict[str, Hop] = field(default_factory=dict[str, Hop])
    models: dict[str, FakeModel] = field(default_factory=lambda: {name: FakeModel() for name in BACKENDS})
    stored: dict[str, dict[str, Any] | None] = field(default_factory=containers)
    level: str = "Strong"
    apps: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    workbooks: list[dict[str, str]] = field(default_factory=lambda: [{"name": "boards"}])
    letters: str = ""
    publishes_keys: bool = True
    gpus: int = 3
    shown_spans: Sequence[int] = (0, 0, 1)
    """How many spans of a trace Application Insights shows, each time it is asked; the last one stays."""

    asked: list[str] = field(default_factory=list[str])

    async def resolve(self, host: str) -> tuple[str, ...]:
        private = host.endswith((".documents.azure.com", ".core.windows.net")) or host == "crm.example"
        return self.addresses.get(host, (PRIVATE if private else PUBLIC,))

    async def connect(self, host: str, port: int) -> None:
        if host in self.unreachable:
            raise UnreachableError(f"port {port} is closed")

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        if url not in self.answers:
            raise UnreachableError("no answer")
        return self.answers[url]

    async def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        assert headers["content-type"] == "application/x-protobuf"
        (sent,) = ExportTraceServiceRequest.FromString(content).resource_spans
        assert [span.name for scope in sent.scope_spans for span in scope.spans] == ["doctor"]
        return await self.get(url)

    async def credentials(self, settings: Settings, backend: Backend, url: str) -> Mapping[str, str]:
        control = backend.instances
        origin = backend.url.removesuffix("/v1")
        assert url.startswith((origin, control.url if control else origin))
        assert settings.token_audience
        if backend.name in self.denied:
            raise hop_denied(self.denied[backend.name], 403)
        return {"authorization": "Bearer hidden"}

    @asynccontextmanager
    async def model(self, settings: Settings, backend: Backend) -> AsyncGenerator[BackendClient]:
        assert settings.token_audience
        yield self.models[backend.name]

    async def issuer_keys(self, discovery: IssuerDiscovery, issuer: TokenIssuer) -> None:
        assert discovery.authority
        assert issuer.tenant == TENANT
        if not self.publishes_keys:
            raise Unavailable("The issuer of access tokens published no usable key.")

    async def containers(self, settings: Settings) -> Mapping[str, Mapping[str, Any] | None]:
        assert settings.store == "cosmos"
        return self.stored

    async def consistency(self, settings: Settings) -> str:
        assert settings.store == "cosmos"
        return self.level

    def store(self, settings: Settings) -> DocumentStore:
        assert settings.store
        return self.store_port

    def files(self, settings: Settings) -> MemoryContents:
        assert settings.blob_url
        return self.contents

    async def container_problem(self, settings: Settings, address: str, container: str) -> str:
        assert (address, container) == (settings.variables["GANGLION_LETTERS_URL"], "letters")
        return self.letters

    async def azure(self, *command: str) -> Any:
        """Answer about the apps and the workbooks of a subscription."""
        match command:
            case ("functionapp", "list"):
                return [{"name": name, "resourceGroup": "group"} for name in self.apps]
            case ("functionapp", "config", "appsettings", "list", "--name", name, *_):
                return [{"name": setting, "value": value} for setting, value in self.apps[name].items()]
            case ("resource", "list", *_):
                return self.workbooks
            case ("account", "show"):
                return {"tenantId": TENANT}
            case ("rest", *_, "--body", query):
                self.asked.append(query)
                return {"tables": [{"rows": [[self.shown_spans[min(len(self.asked), len(self.shown_spans)) - 1]]]}]}
            case _:
                raise UnreachableError(f"az {command[0]} is unknown")

    async def google(self, *command: str) -> Any:
        """Answer about the quota of GPUs."""
        assert command[:4] == ("beta", "quotas", "info", "describe")
        assert command[-1] == "--project=1"
        elsewhere = {"applicableLocations": ["europe-west1"], "details": {"value": "0"}}
        return {
            "dimensionsInfos": [
                elsewhere,
                {"applicableLocations": ["us-central1"], "details": {"value": str(self.gpus)}},
            ]
        }

    async def pause(self, seconds: float) -> None:
        assert seconds > 0


@dataclass(slots=True, kw_only=True)
class Case:
    """An application in Azure where every check passes that can run; a test injects one fault."""

    root: Path
    variables: dict[str, str]
    outside: FakeOutside
    claims: dict[str, Any] = field(default_factory=lambda: dict[str, Any](CLAIMS))
    python: tuple[int, int] = (3, 13)
    address: str = APP
    app: str = ""

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text(encoding="utf-8")
        assert old in text
        (self.root / name).write_text(text.replace(old, new), encoding="utf-8")

    def subject(self) -> Subject:
        target = Target(
            root=self.root,
            variables=self.variables,
            now=NOW,
            python=self.python,
            app=self.app,
            address=self.address,
            token=token_of(self.claims),
            starts_gpus=True,
        )
        return Subject(target, self.outside)


def healthy_case(root: Path) -> Case:
    """Copy the deployable skeleton into a folder, with a fleet whose starts fit the GPU service."""
    for name in (*FILES, ".funcignore", "infra/google/variables.tf"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    for name in PACKAGES:
        (root / name).mkdir()
        (root / name / "__init__.py").touch()
    fleet = (root / "fleet.toml").read_text(encoding="utf-8").replace("p99_s = 300", "p99_s = 200") + BEDROCK
    (root / "fleet.toml").write_text(fleet, encoding="utf-8")
    (root / "pipelines.toml").write_text(PIPELINE, encoding="utf-8")
    files = {
        f"GANGLION_{name.upper()}": str(root / f"{name}.toml")
        for name in ("fleet", "pipelines", "prices", "sources", "tools", "webhooks")
    }
    outside = FakeOutside(store_port=MemoryStore(FakeClock(start=NOW)))
    return Case(root=root, variables={**VARIABLES, **files}, outside=outside)
