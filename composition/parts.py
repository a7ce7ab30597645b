"""Which values and which ports is the application made of?"""

from collections.abc import Mapping

from msgspec import Struct, field

from api.http.authentication import Authenticator
from clients.azure_storage.port import AnswerStorage, NoStorage
from clients.backends.port import BackendClient, PromptCounter
from clients.clock import Clock
from clients.files.port import FileContents
from clients.instances.port import InstanceCounter, NoCounter
from clients.orchestrations import OpenOrchestrations
from clients.sources.reader import SourceReader
from clients.storage.port import DocumentStore
from clients.tokenizers.port import Tokenizer
from clients.tools.on_behalf_of import TokenExchange
from clients.tools.port import ToolConnector
from clients.webhooks.sender import WebhookSender
from domain.fleet.catalog import Fleet
from domain.money.budgets import Budgets
from domain.money.cheap_hours import CheapHours
from domain.money.overheads import OverheadPrices
from domain.money.prices import Price
from domain.pipelines.pipeline import Pipelines
from domain.routing.estimates import AttemptLimits
from domain.sources.catalog import Sources
from domain.tools.catalog import ToolServers
from domain.turns.webhook_events import WebhookEndpoints
from settings import Settings


class Configuration(Struct, frozen=True, kw_only=True):
    """What the settings and the operator's files say."""

    settings: Settings
    fleet: Fleet
    prices: Mapping[str, Price]
    overheads: OverheadPrices = field(default_factory=OverheadPrices)
    cheap_hours: CheapHours = field(default_factory=CheapHours)
    budgets: Budgets = field(default_factory=Budgets)
    sources: Sources = field(default_factory=Sources)
    tools: ToolServers = field(default_factory=ToolServers)
    endpoints: WebhookEndpoints = field(default_factory=WebhookEndpoints)
    pipelines: Pipelines = field(default_factory=Pipelines)
    queue_tries: int = 5

    @property
    def attempt_limits(self) -> AttemptLimits:
        """Return the limits that the router plans with and that the attempts keep."""
        return AttemptLimits(hold_s=self.settings.hold_s, handover_s=self.settings.handover_s)


class Ports(Struct, frozen=True, kw_only=True):
    """What the application reaches the outside through. Tests put fakes here, and nowhere else."""

    clock: Clock
    store: DocumentStore
    authenticator: Authenticator
    backends: Mapping[str, BackendClient]
    prompt_counters: Mapping[str, PromptCounter]
    tokenizers: Mapping[str, Tokenizer]
    source_reader: SourceReader
    tool_connector: ToolConnector
    token_exchange: TokenExchange
    webhook_sender: WebhookSender
    open_orchestrations: OpenOrchestrations
    instance_counter: InstanceCounter = field(default_factory=NoCounter)
    large_files: FileContents | None = None
    answer_storage: AnswerStorage = field(default_factory=NoStorage)
