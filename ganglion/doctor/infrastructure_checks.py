"""Do network, GPU service, telemetry and receivers fit the settings?"""

import ipaddress
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from domain.fleet.catalog import Backend
from domain.sources.catalog import Source
from domain.sources.egress_policy import rejection_reason
from ganglion.doctor.backend_checks import connects, endpoint, resolves
from ganglion.doctor.findings import Fault, error, warning
from ganglion.doctor.outside import UnreachableError
from ganglion.doctor.subject import NotRunError, Subject

GIVEN: Final = re.compile(r"^\s*start_p99_s\s*=\s*(\d+)", re.MULTILINE)
DEFAULT: Final = re.compile(r'variable "start_p99_s" \{.*?default\s*=\s*(\d+)', re.DOTALL)
PROBES_S: Final = 240
"""A startup probe of Cloud Run takes at least this long by its periods here, and begins up to this much later."""

GPU_SERVICE: Final = "cloud-run"
QUOTA: Final = "terraform -chdir=infra/google plan compares it with max_instances"
SETTING: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
OTLP: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
WORKBOOKS: Final = "microsoft.insights/workbooks"
GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


async def private_names(subject: Subject) -> AsyncIterator[Fault]:
    """Resolve the names that have private endpoints; only an instance inside the network gets private addresses."""
    subject.needs_azure()
    if subject.target.app:
        raise NotRunError("names resolve differently outside the app's network; run the doctor inside it")
    hosts = [urlsplit(subject.variables.get("GANGLION_COSMOS_URL", "")).hostname]
    account = subject.variables.get("AzureWebJobsStorage__accountName")
    hosts += [f"{account}.{kind}.core.windows.net" for kind in ("blob", "queue", "table") if account]
    for host in filter(None, hosts):
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
    allowed_s = max(PROBES_S, start_allowed_s(subject.target.root / "infra" / "google"))
    for backend in gpu_services(subject):
        name, expected_s = f"backends.{backend.name}.cold.p99_s", backend.cold_start.p99_s
        if expected_s > 2 * PROBES_S:
            text = f"{name} is {expected_s:g} s, but no startup probe of Cloud Run allows more than {2 * PROBES_S} s"
            yield error(text, "use smaller weights, or another system for this model")
        elif expected_s > allowed_s:
            text = f"{name} is {expected_s:g} s, but the startup probe of infra/google ends a start after {allowed_s} s"
            yield error(text, f"terraform -chdir=infra/google apply -var start_p99_s={expected_s:g}")


def start_allowed_s(folder: Path) -> int:
    """Return start_p99_s of the Terraform files: the value of terraform.tfvars, else the default."""
    for file, pattern in (("terraform.tfvars", GIVEN), ("variables.tf", DEFAULT)):
        path = folder / file
        if path.is_file() and (found := pattern.search(path.read_text(encoding="utf-8"))):
            return int(found[1])
    raise NotRunError("infra/google/variables.tf has no start_p99_s here")


def gpu_services(subject: Subject) -> list[Backend]:
    """Return the backends on Cloud Run; the local stand-in has no TLS."""
    found = [each for each in subject.backends if each.system == GPU_SERVICE and each.url.startswith("https:")]
    if not found:
        raise NotRunError("no backend on Cloud Run is enabled")
    return found


def gpu_quota(subject: Subject) -> Iterable[Fault]:
    gpu_services(subject)
    raise NotRunError(f"the quota can only be read with the project's own rights: {QUOTA}")


def connection_string(subject: Subject) -> Iterator[Fault]:
    text = subject.variables.get(SETTING)
    if not text:
        raise NotRunError(f"{SETTING} is not set")
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    if not GUID.fullmatch(parts.get("InstrumentationKey", "")):
        yield error(f"{SETTING} has no valid InstrumentationKey", subject.set_command(SETTING, "CONNECTION_STRING"))
    elif not parts.get("IngestionEndpoint", "https://").startswith("https://"):
        yield error(f"{SETTING}: IngestionEndpoint has no TLS", subject.set_command(SETTING, "CONNECTION_STRING"))


async def collector(subject: Subject) -> AsyncIterator[Fault]:
    """Send an empty batch of spans to the OTLP receiver."""
    name = next((each for each in OTLP if subject.variables.get(each)), None)
    if name is None:
        raise NotRunError("no OTLP endpoint is set")
    base = subject.variables[name].rstrip("/")
    url = base if name == OTLP[0] else f"{base}/v1/traces"
    try:
        answer = await subject.outside.post(url, b"", {"content-type": "application/x-protobuf"})
    except UnreachableError as problem:
        yield error(f"{name}: {url} does not answer: {problem}", f"curl -i -X POST {url}")
        return
    if answer.status not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
        yield error(f"{name}: {url} answers {answer.status} to an empty batch of spans", f"curl -i -X POST {url}")


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
