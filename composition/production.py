"""Which files and services does a deployed application use? The settings select them."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from clients.backends.formats.think_tags import with_reasoning_split
from clients.backends.http_backend import HttpBackend
from clients.backends.port import PromptCounter
from clients.backends.predictions.client import backend_client
from clients.backends.prompt_counter import HttpPromptCounter
from clients.clock import Clock
from clients.identity.authenticator import TokenAuthenticator
from clients.identity.backend_credentials import BackendCredentials, credential_problems
from clients.identity.discovery import IssuerDiscovery
from clients.identity.jwks_cache import JwksCache
from clients.identity.signing_keys import KeyFile, SigningKeys
from clients.instances.cloud_run import CloudRunInstances
from clients.orchestrations import DurableOrchestrations
from clients.sources.egress import pinned_client
from clients.sources.factory import build_reader
from clients.sources.image_loader import PublicImages
from clients.sources.tokens import IdentityTokens
from clients.storage.cosmos.settings import account_from
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from clients.tls import tls_context
from clients.tokenizers.port import Tokenizer
from clients.tokenizers.tokenizer_file import TokenizerFile
from clients.tools.factory import build_tools, missing_library
from clients.tools.on_behalf_of import OnBehalfOf
from clients.webhooks.sender import build_sender
from composition.azure_storage import answer_storage, blob_reader, large_files, missing_libraries
from composition.parts import Configuration, Ports
from composition.pipeline_checks import pipeline_problems
from composition.setting_names import UnknownName, names_in, unknown_host_settings, unknown_settings
from domain.config.budgets_toml import budgets_from_toml
from domain.config.environment import KEY_EXPECTED, PREFIX
from domain.config.fleet_toml import fleet_from_toml
from domain.config.pipelines.pipelines_toml import pipelines_from_toml
from domain.config.prices_toml import cheap_hours_from_toml, overheads_from_toml, prices_from_toml
from domain.config.sources_toml import sources_from_toml
from domain.config.systems_toml import systems_from_toml
from domain.config.tools_toml import tools_from_toml
from domain.config.webhooks_toml import endpoints_from_toml
from domain.errors import ConfigurationError
from domain.fleet.catalog import Fleet
from domain.identity.access_tokens import AcceptedTokens
from domain.money.budgets import Budgets
from domain.money.plausible_prices import implausible
from domain.money.prices import Price
from domain.routing.least_cost import too_small_budgets
from domain.tools.catalog import ServerAuth, ToolServers
from domain.tools.source_tools import with_source_tools
from settings import ROOT, Settings

logger = logging.getLogger("ganglion.configuration")

MAX_IDLE_CONNECTIONS = 100
"""Connections to backends that stay open between requests."""

SYSTEMS = "systems.toml"
QUEUE_TRIES = "AzureFunctionsJobHost__extensions__queues__maxDequeueCount"
SHIPPED_FILES = ("fleet.toml", SYSTEMS, "sources.toml", "tools.toml", "webhooks.toml", "pipelines.toml")


def read_configuration(settings: Settings) -> Configuration:
    """Read the operator's files. Raises ConfigurationError that names every mistake of the first wrong file."""
    check_setting_names(settings)
    price_file = file_text("PRICES", settings.prices)
    prices = prices_from_toml(price_file)
    warn_of_prices(prices)
    systems = systems_from_toml((ROOT / SYSTEMS).read_text(encoding="utf-8"))
    fleet = fleet_from_toml(file_text("FLEET", settings.fleet), settings.variables, prices, systems)
    sources = sources_from_toml(file_text("SOURCES", settings.sources), settings.variables, on_azure=settings.on_azure)
    tools = tools_from_toml(file_text("TOOLS", settings.tools), settings.variables, on_azure=settings.on_azure)
    tools = with_source_tools(tools, sources)
    problems = (
        *missing_library(tools),
        *missing_key(tools, settings),
        *credential_problems(fleet, settings.federation, settings.aws, settings.variables),
        *missing_tokenizers(fleet, settings.fleet),
    )
    if problems:
        raise ConfigurationError(problems)
    configuration = Configuration(
        settings=settings,
        fleet=fleet,
        prices=prices,
        overheads=overheads_from_toml(price_file),
        cheap_hours=cheap_hours_from_toml(price_file),
        budgets=read_budgets(settings),
        sources=sources,
        tools=tools,
        endpoints=endpoints_from_toml(
            file_text("WEBHOOKS", settings.webhooks), settings.variables, loopback=settings.webhooks_loopback
        ),
        pipelines=pipelines_from_toml(file_text("PIPELINES", settings.pipelines), settings.variables),
        queue_tries=queue_tries(settings.variables),
    )
    check_budgets(configuration)
    if found := (*pipeline_problems(configuration), *missing_libraries(configuration)):
        raise ConfigurationError(found)
    return configuration


def queue_tries(variables: Mapping[str, str]) -> int:
    """Return how often the host gives a message of a queue to its function."""
    found = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]["maxDequeueCount"]
    return int(variables.get(QUEUE_TRIES) or found)


def missing_key(tools: ToolServers, settings: Settings) -> Sequence[str]:
    """Return the problem of servers that are called in their caller's name, where no key can seal its tokens."""
    labels = [label for label, server in tools.known.items() if server.auth is ServerAuth.OBO]
    if not labels or settings.sealing_key:
        return ()
    return [f"{PREFIX}SEALING_KEY is not set, but tools.toml has auth obo for {', '.join(labels)}: {KEY_EXPECTED}"]


def check_budgets(configuration: Configuration) -> None:
    """Raise ConfigurationError for a budget that covers no backend at all; log one that excludes some."""
    found = tuple(too_small_budgets(configuration.fleet, configuration.budgets, configuration.attempt_limits))
    for each in found:
        if not each.excludes_all:
            logger.warning("%s", each.message)
    if problems := tuple(each.message for each in found if each.excludes_all):
        raise ConfigurationError(problems)


def warn_of_prices(prices: Mapping[str, Price]) -> None:
    """Log each amount that is far outside the range of its kind: it decides routes, budgets and bills."""
    for problem in (each for price in prices.values() for each in implausible(price)):
        logger.warning("%s", problem)


def file_text(name: str, path: Path) -> str:
    """Return the text of the file that the setting `name` selects; raises ConfigurationError where it is unreadable."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise ConfigurationError((f"{PREFIX}{name}: {path} cannot be read: {reason}",)) from None


def check_setting_names(settings: Settings) -> None:
    """Raise ConfigurationError for misspelled settings of money, identity and store; log every other unknown name."""
    unknown = unknown_names(settings)
    problems = tuple(each.message for each in unknown if each.is_error)
    for each in unknown:
        if not each.is_error:
            logger.warning("%s", each.message)
    if problems:
        raise ConfigurationError(problems)


def unknown_names(settings: Settings) -> Sequence[UnknownName]:
    """Return the variables that look like settings of the app or of the host, but that nothing reads.

    Variables of the shipped files count too, so that an operator's own fleet file may use fewer of them.
    """
    own = (settings.fleet, settings.sources, settings.tools, settings.webhooks, settings.pipelines)
    shipped = (path for path in (ROOT / name for name in SHIPPED_FILES) if path.is_file())
    mentioned = names_in(path.read_text(encoding="utf-8", errors="replace") for path in (*own, *shipped))
    known = settings.names | mentioned
    return (*unknown_settings(settings.variables, known), *unknown_host_settings(settings.variables))


def read_budgets(settings: Settings) -> Budgets:
    """Return the budgets of all tenants; the file of budgets, if there is one, holds those of single tenants."""
    if settings.budget_file is None:
        return settings.budgets
    return budgets_from_toml(file_text("BUDGETS", settings.budget_file), settings.budgets)


def open_ports(configuration: Configuration, clock: Clock) -> Ports:
    """Return the real adapters; each opens its files and connections at its first use."""
    settings = configuration.settings
    http, credentials = backend_http(), backend_credentials(settings, clock)
    backends = backend_clients(configuration.fleet, settings, http, credentials)
    return Ports(
        clock=clock,
        store=document_store(settings, clock),
        authenticator=TokenAuthenticator(
            keys=signing_keys(settings, clock),
            expected=AcceptedTokens(audience=settings.token_audience, tenants=settings.token_tenants),
            clock=clock,
            behind_platform=settings.behind_platform,
        ),
        backends={name: with_reasoning_split(each, each.backend.reasoning) for name, each in backends.items()},
        prompt_counters=prompt_counters(backends),
        tokenizers=tokenizer_files(configuration.fleet, settings.fleet),
        source_reader=build_reader(
            configuration.sources,
            clock,
            loopback=settings.sources_loopback,
            client_id=settings.identity_client_id,
            blobs=blob_reader(configuration, clock),
        ),
        tool_connector=build_tools(clock, loopback=settings.sources_loopback, client_id=settings.identity_client_id),
        token_exchange=OnBehalfOf(
            authority=settings.token_authority,
            client_id=settings.obo_client_id or settings.token_audience.removeprefix("api://"),
            identity=IdentityTokens(clock, client_id=settings.identity_client_id),
            clock=clock,
        ),
        webhook_sender=build_sender(clock, loopback=configuration.endpoints.loopback),
        open_orchestrations=lambda client: DurableOrchestrations(client, clock),
        instance_counter=CloudRunInstances(http, credentials),
        large_files=large_files(settings, clock),
        answer_storage=answer_storage(configuration, clock),
    )


def document_store(settings: Settings, clock: Clock) -> DocumentStore:
    if settings.store == "cosmos":
        from clients.storage.cosmos.store import CosmosStore  # noqa: PLC0415 - its SDK takes half a second to import

        return CosmosStore(account_from(settings.variables), clock)
    return SqliteStore(settings.data / "app.db", clock)


def signing_keys(settings: Settings, clock: Clock) -> SigningKeys:
    if settings.token_keys:
        return KeyFile(settings.token_keys)
    return JwksCache(IssuerDiscovery(settings.token_authority).keys, clock)


def tokenizer_files(fleet: Fleet, fleet_file: Path) -> Mapping[str, Tokenizer]:
    """Return the tokenizers of the served models; their paths are relative to the folder of the fleet file."""
    return {
        model.name: TokenizerFile(fleet_file.parent / model.tokenizer)
        for model in fleet.served_models()
        if model.tokenizer is not None
    }


def missing_tokenizers(fleet: Fleet, fleet_file: Path) -> Sequence[str]:
    return [
        f"models.{model.name}.tokenizer: expected an existing file, found {model.tokenizer!r}"
        for model in fleet.served_models()
        if model.tokenizer is not None and not (fleet_file.parent / model.tokenizer).is_file()
    ]


def prompt_counters(backends: Mapping[str, HttpBackend]) -> Mapping[str, PromptCounter]:
    return {
        name: HttpPromptCounter(each, each.backend.token_counting)
        for name, each in backends.items()
        if each.backend.token_counting is not None
    }


def backend_http() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    return httpx.AsyncClient(limits=limits, trust_env=False, verify=tls_context())


def backend_credentials(settings: Settings, clock: Clock) -> BackendCredentials:
    return BackendCredentials(
        federation=settings.federation,
        aws=settings.aws,
        variables=settings.variables,
        clock=clock,
        client_id=settings.identity_client_id,
    )


def backend_clients(
    fleet: Fleet, settings: Settings, http: httpx.AsyncClient, credentials: BackendCredentials
) -> Mapping[str, HttpBackend]:
    images = PublicImages(pinned_client(loopback=False))
    return {
        name: backend_client(backend, http, silence_s=settings.silence_s, credentials=credentials, images=images)
        for name, backend in fleet.backends.items()
    }
