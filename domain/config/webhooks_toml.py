"""What does the file of the webhooks say?"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from domain.config.toml_table import TomlTable, document
from domain.errors import ConfigurationError
from domain.log.events import ResponseStatus
from domain.money.budget_events import BUDGET_EVENTS
from domain.network_names import LOOPBACK
from domain.pipelines.pipeline import COMPLETED_EVENT
from domain.sources.egress_policy import METADATA_NAMES
from domain.turns.webhook_events import ACTION_REQUIRED, BATCH_EVENTS, EVENTS, WebhookEndpoint, WebhookEndpoints

VARIABLE: Final = re.compile(r"%([A-Z][A-Z0-9_]{2,})%")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LABEL_BYTES: Final = range(1, 64)
NAMED: Final = (*EVENTS, *BUDGET_EVENTS, *BATCH_EVENTS, ACTION_REQUIRED, COMPLETED_EVENT)
ALL: Final = "*"
PREFIX: Final = "whsec_"
SECRET_BYTES: Final = range(24, 65)
"""How long Standard Webhooks lets a secret be."""

TENANT_LIMIT: Final = 10
"""How many endpoints one tenant may have: what they are told is committed with the end of a turn."""


def endpoints_from_toml(text: str, variables: Mapping[str, str], *, loopback: bool) -> WebhookEndpoints:
    """Return the endpoints, `%NAME%` in their addresses and tenants replaced from the variables.

    An endpoint whose address needs a variable that is not set is left out. Raises ConfigurationError that names every
    mistake, and no secret.
    """
    top = document(text, "webhooks")
    known: dict[str, WebhookEndpoint] = {}
    for name, table in top.tables("webhooks"):
        endpoint = read_endpoint(name, table, variables, loopback=loopback)
        if not VARIABLE.search(endpoint.url):
            known[name] = endpoint
    top.close()
    check_crowd(known, top)
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return WebhookEndpoints(known=known, loopback=loopback)


def read_endpoint(name: str, table: TomlTable, variables: Mapping[str, str], *, loopback: bool) -> WebhookEndpoint:
    if not NAME.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of a-z, 0-9 and -, at most 32 characters")
    url = read_url(table, variables, loopback=loopback)
    endpoint = WebhookEndpoint(
        name=name,
        url=url,
        secrets=read_secrets(table, variables, needed=not VARIABLE.search(url)),
        tenants=read_tenants(table, variables),
        events=read_events(table),
        budget_events=frozenset(BUDGET_EVENTS) & set(table.texts("events")),
        batch_events=frozenset(BATCH_EVENTS) & set(table.texts("events")),
        pipeline_events=frozenset({COMPLETED_EVENT}) & set(table.texts("events")),
        action_events=frozenset({ACTION_REQUIRED}) & set(table.texts("events")),
        background=table.flag("background", default=False),
        revision=table.whole("revision", 1),
    )
    table.close()
    return endpoint


def read_url(table: TomlTable, variables: Mapping[str, str], *, loopback: bool) -> str:
    url = expanded(table.text("url"), variables)
    if url and not VARIABLE.search(url) and not is_address(url, loopback=loopback):
        table.problems.append(f"{table.name_of('url')}: expected https://host[:port]/path without user or fragment")
    return url


def is_address(url: str, *, loopback: bool) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = (parts.hostname or "").rstrip(".")
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc and not parts.fragment
    named = all(len(label) in LABEL_BYTES for label in host.split("."))
    return named and plain and port != 0 and host not in METADATA_NAMES and is_safe(parts, host, loopback=loopback)


def is_safe(parts: SplitResult, host: str, *, loopback: bool) -> bool:
    return parts.scheme == "https" or (parts.scheme == "http" and loopback and host in LOOPBACK)


def read_secrets(table: TomlTable, variables: Mapping[str, str], *, needed: bool) -> tuple[bytes, ...]:
    """Return the secrets that the named variables hold; of several, while they are changed, some may not be set."""
    names = table.texts("secrets")
    if not names:
        table.report("secrets", "names of variables that hold a secret")
    found = {name: secret_of(variables[name]) for name in names if variables.get(name)}
    wrong = [name for name, secret in found.items() if secret is None]
    table.problems += [f"{name}: expected whsec_ and 24 to 64 bytes in base64" for name in wrong]
    if names and needed and not found:
        table.problems.append(f"{table.name_of('secrets')}: {names[0]} is not set")
    return tuple(secret for secret in found.values() if secret)


def secret_of(text: str) -> bytes | None:
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return secret if text.startswith(PREFIX) and len(secret) in SECRET_BYTES else None


def read_tenants(table: TomlTable, variables: Mapping[str, str]) -> frozenset[str]:
    """Return the tenants whose turns are reported; `"*"` must be written for all."""
    given = table.texts("tenants")
    if not given:
        table.report("tenants", 'ids of tenants, or "*" for all')
    names = {name.strip() for text in given for name in expanded(text, variables).split(",")}
    return frozenset() if ALL in names else frozenset(names - {""})


def read_events(table: TomlTable) -> frozenset[ResponseStatus]:
    given = table.texts("events") or tuple(EVENTS)
    unknown = [name for name in given if name not in NAMED]
    if unknown:
        table.report("events", f"some of {', '.join(NAMED)}")
    return frozenset(EVENTS[name] for name in given if name in EVENTS)


def check_crowd(known: Mapping[str, WebhookEndpoint], top: TomlTable) -> None:
    tenants = {tenant for endpoint in known.values() for tenant in endpoint.tenants} | {ALL}
    for tenant in sorted(tenants):
        theirs = sum(not each.tenants or tenant in each.tenants for each in known.values())
        if theirs > TENANT_LIMIT:
            top.problems.append(f"webhooks: expected at most {TENANT_LIMIT} for tenant {tenant}, found {theirs}")


def expanded(text: str, variables: Mapping[str, str]) -> str:
    return VARIABLE.sub(lambda match: variables.get(match[1]) or match[0], text)
