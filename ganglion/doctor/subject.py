"""Which application is examined: its files, its effective settings and its surroundings?"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from composition.production import file_text, missing_key, read_budgets
from domain.config.fleet_toml import fleet_from_toml
from domain.config.pipelines.pipelines_toml import pipelines_from_toml
from domain.config.prices_toml import prices_from_toml
from domain.config.sources_toml import sources_from_toml
from domain.config.systems_toml import systems_from_toml
from domain.config.tools_toml import tools_from_toml
from domain.config.webhooks_toml import endpoints_from_toml
from domain.errors import ConfigurationError
from domain.fleet.catalog import Backend, Fleet
from domain.money.budgets import Budgets
from domain.money.prices import Price
from domain.pipelines.pipeline import Pipelines
from domain.sources.catalog import Sources
from domain.tools.catalog import ToolServers
from domain.tools.source_tools import with_source_tools
from domain.turns.webhook_events import WebhookEndpoints
from ganglion.doctor.outside import Outside, UnreachableError
from settings import Settings, read_settings

ON_AZURE = "WEBSITE_INSTANCE_ID"


class NotRunError(Exception):
    """A check cannot run here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the command line and the machine say.

    `variables` are the settings of the application, `app` is its name in Azure, `address` is its origin. `python` is
    the version of the running interpreter. `token` is an access token of a caller, `starts_gpus` allows checks that may
    start a GPU. `now` is in seconds since the epoch.
    """

    root: Path
    variables: Mapping[str, str]
    now: float
    python: tuple[int, int]
    app: str = ""
    address: str = ""
    token: str = ""
    starts_gpus: bool = False


class Subject:
    """The target with its parsed settings and files. A part that cannot be read makes the checks that need it not run.

    Each file is checked by a check of its own, so that a mistake is reported once.
    """

    def __init__(self, target: Target, outside: Outside) -> None:
        self.target = target
        self.outside = outside
        self.exchanges: dict[str, asyncio.Future[str]] = {}
        self.answers: dict[str, asyncio.Future[Any]] = {}

    @property
    def variables(self) -> Mapping[str, str]:
        return self.target.variables

    @property
    def on_azure(self) -> bool:
        return bool(self.variables.get(ON_AZURE))

    async def azure(self, *command: str) -> Any:
        """Return what `az` says about the subscription of the app; raises NotRunError without `--app` or the right."""
        if not self.target.app:
            raise NotRunError("it asks Azure about an app; use --app NAME")
        try:
            return await self.outside.azure(*command)
        except UnreachableError as problem:
            raise NotRunError(str(problem)) from None

    async def google(self, *command: str) -> Any:
        """Return what `gcloud` says about a project; raises NotRunError where it is missing or has no right."""
        try:
            return await self.outside.google(*command)
        except UnreachableError as problem:
            raise NotRunError(str(problem)) from None

    def needs_azure(self) -> None:
        if not self.on_azure:
            raise NotRunError("it concerns an app in Azure; use --app NAME")

    @cached_property
    def settings(self) -> Settings:
        return usable("settings.values", lambda: read_settings(self.variables))

    @cached_property
    def host_file(self) -> Mapping[str, Any]:
        return usable("files.host", self.read_host_file)

    def read_host_file(self) -> Mapping[str, Any]:
        found: dict[str, Any] | None
        try:
            found = json.loads((self.target.root / "host.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise ConfigurationError((f"host.json cannot be read: {problem}",)) from None
        if not isinstance(found, dict):
            raise ConfigurationError(("host.json is not a JSON object",))
        return found

    def host_setting(self, *path: str) -> Any:
        """Return a value of host.json, or the app setting that overrides it; None where neither is there."""
        name = "__".join(("AzureFunctionsJobHost", *path))
        override = next((value for key, value in self.variables.items() if key.casefold() == name.casefold()), None)
        if override is not None:
            return override
        found: Any = self.host_file
        for part in path:
            found = cast("dict[str, Any]", found).get(part) if isinstance(found, dict) else None
        return found

    @cached_property
    def prices(self) -> Mapping[str, Price]:
        return usable("files.prices", self.read_prices)

    def read_prices(self) -> Mapping[str, Price]:
        return prices_from_toml(file_text("PRICES", self.settings.prices))

    @cached_property
    def fleet(self) -> Fleet:
        return usable("files.fleet", self.read_fleet)

    def read_fleet(self) -> Fleet:
        systems = usable("files.systems", self.read_systems)
        text = file_text("FLEET", self.settings.fleet)
        return fleet_from_toml(text, self.variables, self.prices, systems)

    def read_systems(self) -> Any:
        return systems_from_toml(file_text("SYSTEMS", self.target.root / "systems.toml"))

    @cached_property
    def sources(self) -> Sources:
        return usable("files.sources", self.read_sources)

    def read_sources(self) -> Sources:
        text = file_text("SOURCES", self.settings.sources)
        return sources_from_toml(text, self.variables, on_azure=self.settings.on_azure)

    @cached_property
    def webhooks(self) -> WebhookEndpoints:
        return usable("files.webhooks", self.read_webhooks)

    def read_webhooks(self) -> WebhookEndpoints:
        text = file_text("WEBHOOKS", self.settings.webhooks)
        return endpoints_from_toml(text, self.variables, loopback=self.settings.webhooks_loopback)

    @cached_property
    def pipelines(self) -> Pipelines:
        return usable("files.pipelines", self.read_pipelines)

    def read_pipelines(self) -> Pipelines:
        return pipelines_from_toml(file_text("PIPELINES", self.settings.pipelines), self.variables)

    @cached_property
    def tools(self) -> ToolServers:
        return usable("files.tools", self.read_tools)

    def read_tools(self) -> ToolServers:
        text = file_text("TOOLS", self.settings.tools)
        tools = with_source_tools(tools_from_toml(text, self.variables, on_azure=self.settings.on_azure), self.sources)
        if problems := missing_key(tools, self.settings):
            raise ConfigurationError(tuple(problems))
        return tools

    @cached_property
    def budgets(self) -> Budgets:
        return usable("files.budgets", self.read_budgets)

    def read_budgets(self) -> Budgets:
        return read_budgets(self.settings)

    @property
    def backends(self) -> tuple[Backend, ...]:
        return tuple(self.fleet.backends.values())

    def set_command(self, name: str, value: str) -> str:
        """Return the command that gives a setting a value."""
        if self.target.app:
            app = self.target.app
            return (
                f"az functionapp config appsettings set --name {app} --resource-group GROUP --settings {name}={value}"
            )
        return f"export {name}={value}"

    def remove_command(self, name: str) -> str:
        if self.target.app:
            app = self.target.app
            return (
                f"az functionapp config appsettings delete --name {app} --resource-group GROUP --setting-names {name}"
            )
        return f"unset {name}"


def usable[T](check: str, read: Callable[[], T]) -> T:
    """Return what `read` returns; where it finds mistakes, `check` reports them and the others cannot run."""
    try:
        return read()
    except ConfigurationError:
        raise NotRunError(f"correct the errors of {check} first") from None
