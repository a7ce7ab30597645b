"""Which files and services does a deployed application use? The settings select them."""

import logging
from collections.abc import Mapping

import httpx

from clients.backends.openai_backend import OpenAIBackend
from clients.backends.port import BackendClient
from clients.clock import Clock
from clients.identity.authenticator import TokenAuthenticator
from clients.identity.backend_credentials import BackendCredentials, credential_problems
from clients.identity.discovery import IssuerDiscovery
from clients.identity.jwks_cache import JwksCache
from clients.identity.signing_keys import KeyFile, SigningKeys
from clients.orchestrations import DurableOrchestrations
from clients.sources.factory import build_reader
from clients.storage.cosmos.settings import account_from
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from clients.webhooks.sender import build_sender
from composition.parts import Configuration, Ports
from composition.setting_names import names_in, unknown_host_settings, unknown_settings
from domain.config.budgets_toml import budgets_from_toml
from domain.config.fleet_toml import fleet_from_toml
from domain.config.prices_toml import overheads_from_toml, prices_from_toml
from domain.config.sources_toml import sources_from_toml
from domain.config.webhooks_toml import endpoints_from_toml
from domain.errors import ConfigurationError
from domain.fleet.catalog import Fleet
from domain.identity.access_tokens import AcceptedTokens
from domain.money.budgets import Budgets
from settings import ROOT, Settings

logger = logging.getLogger("ganglion.configuration")

MAX_IDLE_CONNECTIONS = 100
"""Connections to backends that stay open between requests."""

SHIPPED_FILES = ("fleet.toml", "sources.toml", "webhooks.toml")


def read_configuration(settings: Settings) -> Configuration:
    """Read the operator's files. Raises ConfigurationError that names every mistake of the first wrong file."""
    check_setting_names(settings)
    price_file = settings.prices.read_text(encoding="utf-8")
    prices = prices_from_toml(price_file)
    fleet = fleet_from_toml(settings.fleet.read_text(encoding="utf-8"), settings.variables, prices)
    problems = credential_problems(fleet, settings.federation, settings.variables)
    if problems:
        raise ConfigurationError(problems)
    return Configuration(
        settings=settings,
        fleet=fleet,
        prices=prices,
        overheads=overheads_from_toml(price_file),
        budgets=read_budgets(settings),
        sources=sources_from_toml(
            settings.sources.read_text(encoding="utf-8"), settings.variables, on_azure=settings.on_azure
        ),
        endpoints=endpoints_from_toml(
            settings.webhooks.read_text(encoding="utf-8"), settings.variables, loopback=settings.webhooks_loopback
        ),
    )


def check_setting_names(settings: Settings) -> None:
    """Raise ConfigurationError for variables that nothing reads; log a warning for unknown settings of the host.

    Variables of the shipped files count too, so that an operator's own fleet file may use fewer of them.
    """
    own = (settings.fleet, settings.sources, settings.webhooks)
    shipped = (path for path in (ROOT / name for name in SHIPPED_FILES) if path.is_file())
    mentioned = names_in(path.read_text(encoding="utf-8") for path in (*own, *shipped))
    problems = tuple(unknown_settings(settings.variables, settings.names | mentioned))
    if problems:
        raise ConfigurationError(problems)
    for warning in unknown_host_settings(settings.variables):
        logger.warning("%s", warning)


def read_budgets(settings: Settings) -> Budgets:
    """Return the budgets of all tenants; the file of budgets, if there is one, holds those of single tenants."""
    if settings.budget_file is None:
        return settings.budgets
    return budgets_from_toml(settings.budget_file.read_text(encoding="utf-8"), settings.budgets)


def open_ports(configuration: Configuration, clock: Clock) -> Ports:
    """Return the real adapters; each opens its files and connections at its first use."""
    settings = configuration.settings
    return Ports(
        clock=clock,
        store=document_store(settings, clock),
        authenticator=TokenAuthenticator(
            keys=signing_keys(settings, clock),
            expected=AcceptedTokens(audience=settings.token_audience, tenants=settings.token_tenants),
            clock=clock,
            behind_platform=settings.behind_platform,
        ),
        backends=backend_clients(configuration.fleet, settings, clock),
        source_reader=build_reader(
            configuration.sources, clock, loopback=settings.sources_loopback, client_id=settings.identity_client_id
        ),
        webhook_sender=build_sender(clock, loopback=configuration.endpoints.loopback),
        open_orchestrations=lambda client: DurableOrchestrations(client, clock),
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


def backend_clients(fleet: Fleet, settings: Settings, clock: Clock) -> Mapping[str, BackendClient]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
    http = httpx.AsyncClient(limits=limits, trust_env=False)
    credentials = BackendCredentials(
        federation=settings.federation, variables=settings.variables, clock=clock, client_id=settings.identity_client_id
    )
    return {
        name: OpenAIBackend(backend, http, silence_s=settings.silence_s, credentials=credentials)
        for name, backend in fleet.backends.items()
    }
