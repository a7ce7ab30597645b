"""Do network, GPU service, telemetry and receivers fit the settings?"""

import hashlib
import ipaddress
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from domain.fleet.catalog import Backend
from domain.sources.catalog import Source
from domain.sources.egress_policy import rejection_reason
from ganglion.doctor.areas.backend_checks import address, connects, endpoint, resolves
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.outside import UnreachableError
from ganglion.doctor.subject import NotRunError, Subject

GIVEN: Final = r"^\s*{name}\s*=\s*(\d+)"
DEFAULT: Final = r'variable "{name}" \{{.*?default\s*=\s*(\d+)'
PROBES_S: Final = 240
"""A startup probe of Cloud Run takes at least this long by its periods here, and begins up to this much later."""

GPU_SERVICE: Final = "cloud-run"
QUOTA: Final = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
PROJECT: Final = re.compile(r"projects/(\d+)/")
SETTING: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
OTLP: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
INSIGHTS: Final = "https://api.applicationinsights.io"
ARRIVAL_TRIES, ARRIVAL_PAUSE_S = 13, 15.0
"""Application Insights shows what it took after some minutes."""

WORKBOOKS: Final = "microsoft.insights/workbooks"
GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


async def private_names(subject: Subject) -> AsyncIterator[Fault]:
    """Resolve the names that have private endpoints; only an instance inside the network gets private addresses."""
    subject.needs_azure()
    if subject.target.app:
        raise NotRunError("names resolve differently outside the app's network; run the doctor inside it")
    hosts = [urlsplit(subject.variables.get(f"GANGLION_{name}_URL", "")).hostname for name in ("COSMOS", "BLOB")]
    account = subject.variables.get("AzureWebJobsStorage__accountName")
    hosts += [f"{account}.{kind}.core.windows.net" for kind in ("blob", "queue", "table") if account]
    for host in dict.fromkeys(filter(None, hosts)):
        try:
            addresses = await subject.outside.resolve(host)
        except UnreachableError:
            continue
        public = [each for each in addresses if ipaddress.ip_address(each).is_global]
        if public:
            text = f"{host} resolves to the public address {public[0]}: its private endpoint is not used"
            yield error(text, "az deployment group create --template-file infra/azure/main.bicep …")


def remote_sources(subject: Subject) -> list[Source]:
    found = [each for each in subject.sources.known.values() if each.address]
    if not found:
        raise NotRunError("no source with an address is enabled")
    return found


async def source_networks(subject: Subject) -> AsyncIterator[Fault]:
    """Compare the addresses of each source with the networks that it may be in."""
    for source in remote_sources(subject):
        host, _ = endpoint(source.address)
        try:
            addresses = await subject.outside.resolve(host)
        except UnreachableError as problem:
            yield error(f"sources.{source.name}.url: {host} does not resolve: {problem}", f"nslookup {host}")
            continue
        for each in addresses:
            loopback = subject.settings.sources_loopback
            reason = rejection_reason(each, private=source.private, networks=source.networks, loopback=loopback)
            if reason:
                text = f"sources.{source.name}: {host} resolves to {each}, which is not allowed: {reason}"
                yield error(text, f"${{EDITOR:-vi}} {subject.settings.sources}")


async def source_reach(subject: Subject) -> AsyncIterator[Fault]:
    for source in remote_sources(subject):
        host, port = endpoint(source.address)
        if problem := await connects(subject, host, port):
            yield error(f"sources.{source.name}.url: {host}:{port} does not answer: {problem}", f"nc -vz {host} {port}")


async def webhook_reach(subject: Subject) -> AsyncIterator[Fault]:
    if not subject.webhooks.known:
        raise NotRunError("no webhook is registered")
    for webhook in subject.webhooks.known.values():
        host, port = endpoint(webhook.url)
        if problem := await resolves(subject, host) or await connects(subject, host, port):
            yield error(
                f"webhooks.{webhook.name}.url: {host}:{port} does not answer: {problem}", f"nc -vz {host} {port}"
            )


def start_up_probe(subject: Subject) -> Iterator[Fault]:
    """Compare the longest start that the startup probe allows with the one that the fleet expects."""
    allowed_s = max(PROBES_S, terraform_number(subject, "start_p99_s"))
    for backend in gpu_services(subject):
        name, expected_s = f"backends.{backend.name}.cold.p99_s", backend.cold_start.p99_s
        if expected_s > 2 * PROBES_S:
            text = f"{name} is {expected_s:g} s, but no startup probe of Cloud Run allows more than {2 * PROBES_S} s"
            yield error(text, "use smaller weights, or another system for this model")
        elif expected_s > allowed_s:
            text = f"{name} is {expected_s:g} s, but the startup probe of infra/google ends a start after {allowed_s} s"
            yield error(text, f"terraform -chdir=infra/google apply -var start_p99_s={expected_s:g}")


def terraform_number(subject: Subject, name: str) -> int:
    """Return a number of the Terraform files for Google: the value of terraform.tfvars, else the default."""
    folder = subject.target.root / "infra" / "google"
    for file, pattern in (("terraform.tfvars", GIVEN), ("variables.tf", DEFAULT)):
        path = folder / file
        found = re.compile(pattern.format(name=name), re.MULTILINE | re.DOTALL)
        if path.is_file() and (number := found.search(path.read_text(encoding="utf-8"))):
            return int(number[1])
    raise NotRunError(f"infra/google/variables.tf has no {name} here")


def gpu_services(subject: Subject) -> list[Backend]:
    """Return the backends on Cloud Run; the local stand-in has no TLS."""
    found = [each for each in subject.backends if each.system == GPU_SERVICE and each.url.startswith("https:")]
    if not found:
        raise NotRunError("no backend on Cloud Run is enabled")
    return found


async def gpu_quota(subject: Subject) -> AsyncIterator[Fault]:
    """Compare the project's quota of GPUs with the instances that the service may have."""
    regions = {each.price.origin.region for each in gpu_services(subject)}
    project = PROJECT.match(subject.variables.get("GANGLION_GOOGLE_PROVIDER", ""))
    if project is None:
        raise NotRunError("GANGLION_GOOGLE_PROVIDER names no project")
    needed = terraform_number(subject, "max_instances")
    options = ("--service=run.googleapis.com", f"--project={project[1]}")
    found = await subject.google("beta", "quotas", "info", "describe", QUOTA, *options)
    for region in sorted(regions):
        if (allowed := quota_in(found, region)) < needed:
            text = f"the project may run {allowed} L4 GPUs in {region}, but max_instances of infra/google is {needed}"
            yield error(text, "terraform -chdir=infra/google apply -var quota_email=ADDRESS")


def quota_in(found: Any, region: str) -> int:
    """Return the value of a quota in a region: a QuotaInfo lists more specific dimensions first."""
    for each in found.get("dimensionsInfos", []):
        if region in each.get("applicableLocations", []):
            return int(each["details"]["value"])
    return 0


def connection_parts(subject: Subject) -> Mapping[str, str]:
    text = subject.variables.get(SETTING)
    if not text:
        raise NotRunError(f"{SETTING} is not set")
    return dict(part.split("=", 1) for part in text.split(";") if "=" in part)


def connection_string(subject: Subject) -> Iterator[Fault]:
    parts = connection_parts(subject)
    if not GUID.fullmatch(parts.get("InstrumentationKey", "")):
        yield error(f"{SETTING} has no valid InstrumentationKey", subject.set_command(SETTING, "CONNECTION_STRING"))
    elif not parts.get("IngestionEndpoint", "https://").startswith("https://"):
        yield error(f"{SETTING}: IngestionEndpoint has no TLS", subject.set_command(SETTING, "CONNECTION_STRING"))


async def collector(subject: Subject) -> AsyncIterator[Fault]:
    """Send one span to the OTLP receiver."""
    name = next((each for each in OTLP if subject.variables.get(each)), None)
    if name is None:
        raise NotRunError("no OTLP endpoint is set")
    base = subject.variables[name].rstrip("/")
    url = base if name == OTLP[0] else f"{base}/v1/traces"
    try:
        answer = await subject.outside.post(url, span_request(subject), {"content-type": "application/x-protobuf"})
    except UnreachableError as problem:
        yield error(f"{name}: {url} does not answer: {problem}", f"curl -i -X POST {url}")
        return
    if answer.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        yield error(f"{name}: {url} answers {answer.status} to a span", f"curl -i -X POST {url}")
    elif reason := refusal_of(answer.body):
        yield error(f"{name}: {url} drops spans: {reason}", f"curl -i -X POST {url}")


def span_request(subject: Subject) -> bytes:
    """Return a request with the span `doctor` of the service `ganglion-doctor`."""
    nanos = int(subject.target.now * 1e9)
    service = KeyValue(key="service.name", value=AnyValue(string_value="ganglion-doctor"))
    shown = Span(
        trace_id=bytes.fromhex(trace_of(subject)),
        span_id=bytes.fromhex(trace_of(subject)[:16]),
        name="doctor",
        start_time_unix_nano=nanos,
        end_time_unix_nano=nanos,
    )
    spans = ResourceSpans(resource=Resource(attributes=[service]), scope_spans=[ScopeSpans(spans=[shown])])
    return ExportTraceServiceRequest(resource_spans=[spans]).SerializeToString()


def refusal_of(body: bytes) -> str:
    """Return why a receiver dropped the span; empty where it took it."""
    try:
        part = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return ""
    return (part.error_message or "no reason") if part.rejected_spans else ""


def trace_of(subject: Subject) -> str:
    """Return the id of the trace that this examination begins."""
    return hashlib.sha256(f"{subject.target.app} {subject.target.now}".encode()).hexdigest()[:32]


async def arrival(subject: Subject) -> AsyncIterator[Fault]:
    """Call the app under a trace of its own, and wait until Application Insights shows the span of that request."""
    application = connection_parts(subject).get("ApplicationId", "")
    if not GUID.fullmatch(application):
        raise NotRunError(f"{SETTING} has no ApplicationId, so its spans cannot be looked up")
    trace, url = trace_of(subject), f"{address(subject)}/healthz"
    query = f"union requests, dependencies | where operation_Id == '{trace}' | count"
    asked = ("--url", f"{INSIGHTS}/v1/apps/{application}/query", "--body", json.dumps({"query": query}))
    await subject.azure("account", "show")
    try:
        await subject.outside.get(url, {"traceparent": f"00-{trace}-{trace[:16]}-01"})
    except UnreachableError:
        raise NotRunError("the application is not alive: see app.alive") from None
    for _ in range(ARRIVAL_TRIES):
        found = await subject.azure("rest", "--method", "post", "--resource", INSIGHTS, *asked)
        if found["tables"][0]["rows"][0][0]:
            return
        await subject.outside.pause(ARRIVAL_PAUSE_S)
    waited_s = ARRIVAL_TRIES * ARRIVAL_PAUSE_S
    text = f"no span of {url} reached Application Insights in {waited_s:g} s: boards and alarms see nothing of the app"
    yield error(text, "make package AZURE_MONITOR=1, then deploy it")


def console_on_azure(subject: Subject) -> Iterator[Fault]:
    subject.needs_azure()
    if subject.settings.telemetry == "console":
        text = "GANGLION_TELEMETRY is console: on Azure each span becomes a line of the log, which is billed"
        yield warning(text, subject.remove_command("GANGLION_TELEMETRY"))


async def boards(subject: Subject) -> AsyncIterator[Fault]:
    """Look for the workbook by its kind: its name is computed by Azure."""
    found: list[dict[str, str]] = await subject.azure("resource", "list", "--resource-type", WORKBOOKS) or []
    if not found:
        text = "the subscription has no workbook: nobody sees money, starts, latency and errors of the app"
        yield warning(
            text, "az deployment group create --resource-group GROUP --parameters infra/azure/main.bicepparam"
        )
