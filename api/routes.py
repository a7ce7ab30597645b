"""Which function answers which request? One table; the host tries its rows in the order of their names."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from api.approvals.decisions import ApprovalFunctions
from api.batches.functions import BatchFunctions
from api.endpoints.azure_paths import AzurePaths
from api.endpoints.chat_completions import ChatCompletions
from api.endpoints.compaction import Compaction
from api.endpoints.console import Console
from api.endpoints.conversations import ConversationFunctions
from api.endpoints.erasure import OwnerFunctions
from api.endpoints.fallback import Fallback
from api.endpoints.files import FileFunctions
from api.endpoints.health import Health
from api.endpoints.input_tokens import InputTokens
from api.endpoints.models import Models
from api.endpoints.reports.budgets import BudgetReports
from api.endpoints.reports.economics import EconomicsReports
from api.endpoints.reports.fleet import FleetReports
from api.endpoints.reports.investments import InvestmentReports
from api.endpoints.reports.limits import LimitFunctions
from api.endpoints.reports.route import RouteReports
from api.endpoints.reports.tools import ToolReports
from api.endpoints.reports.turns import TurnReports
from api.endpoints.reports.warm_ups import WarmUps
from api.endpoints.responses import Responses
from api.endpoints.stored_completions import StoredCompletionFunctions
from api.endpoints.usage import UsageReports
from api.http.errors import Handler, with_error_responses
from api.openapi import OpenApi
from api.pipelines.functions import PipelineFunctions
from clients.clock import Clock

ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
CATCH_ALL = "{*path}"
AZURE_PATHS = {"http_azure_openai": f"openai/{CATCH_ALL}", "http_azure_deployments": f"v1/deployments/{CATCH_ALL}"}
"""The functions for the paths of the Azure OpenAI clients, by name."""

RESPONSE = "v1/responses/{response_id}"
CONVERSATION = "v1/conversations/{conversation_id}"
CHAT = "v1/chat/completions"
FILE = "v1/files/{file_id}"
BATCH = "v1/batches/{batch_id}"
EVENTS = "v1/events/{pipeline}"
DEAD = "v1/pipelines/{pipeline}/dead"
COMPLETION = f"{CHAT}/{{completion_id}}"


class HttpRoute(Struct, frozen=True, kw_only=True):
    """One HTTP function: `handler` takes `req` and, where `needs_client`, the durable client as `client`."""

    name: str
    template: str
    methods: tuple[str, ...]
    handler: Handler
    needs_client: bool = False


class HttpFunctions(Struct, frozen=True, kw_only=True):
    """The objects whose methods answer requests, and the clock that `Retry-After` is reckoned by."""

    clock: Clock
    responses: Responses
    approvals: ApprovalFunctions
    route_reports: RouteReports
    input_tokens: InputTokens
    compaction: Compaction
    conversations: ConversationFunctions
    chat_completions: ChatCompletions
    stored_completions: StoredCompletionFunctions
    files: FileFunctions
    batches: BatchFunctions
    pipelines: PipelineFunctions
    models: Models
    owners: OwnerFunctions
    usage: UsageReports
    budgets: BudgetReports
    economics: EconomicsReports
    limits: LimitFunctions
    fleet: FleetReports
    investments: InvestmentReports
    turns: TurnReports
    tools: ToolReports
    warm_ups: WarmUps
    health: Health
    console: Console


class Row(NamedTuple):
    """One row of the table; `starts`: the function starts orchestrations or signals them.

    `answers_head`: it answers HEAD too, with the headers alone.
    """

    name: str
    method: str
    template: str
    handler: Handler
    starts: bool = False
    answers_head: bool = False


def table(to: HttpFunctions) -> tuple[Row, ...]:
    return (
        Row("responses_create", "POST", "v1/responses", to.responses.create, starts=True),
        Row("responses_cancel", "POST", f"{RESPONSE}/cancel", to.responses.cancel, starts=True),
        Row("approvals_decide", "POST", f"{RESPONSE}/approvals", to.approvals.decide, starts=True),
        Row("approvals_list", "GET", "v1/approvals", to.approvals.list),
        Row("responses_delete", "DELETE", RESPONSE, to.responses.delete, starts=True),
        Row("responses_items", "GET", f"{RESPONSE}/input_items", to.responses.list_items),
        Row("responses_retrieve", "GET", RESPONSE, to.responses.retrieve, answers_head=True),
        Row("responses_route", "GET", f"{RESPONSE}/route", to.route_reports.route),
        Row("responses_compact", "POST", "v1/responses/compact", to.compaction.compact, starts=True),
        Row("responses_count", "POST", "v1/responses/input_tokens", to.input_tokens.count),
        Row("conversations_list", "GET", "v1/conversations", to.conversations.list),
        Row("conversations_create", "POST", "v1/conversations", to.conversations.create),
        Row("conversations_retrieve", "GET", CONVERSATION, to.conversations.retrieve),
        Row("conversations_update", "POST", CONVERSATION, to.conversations.change),
        Row("conversations_delete", "DELETE", CONVERSATION, to.conversations.delete, starts=True),
        Row("items_list", "GET", f"{CONVERSATION}/items", to.conversations.list_items),
        Row("items_create", "POST", f"{CONVERSATION}/items", to.conversations.add_items),
        Row("items_retrieve", "GET", f"{CONVERSATION}/items/{{item_id}}", to.conversations.retrieve_item),
        Row("items_delete", "DELETE", f"{CONVERSATION}/items/{{item_id}}", to.conversations.delete_item),
        Row("chat_create", "POST", CHAT, to.chat_completions.create, starts=True),
        Row("chat_list", "GET", CHAT, to.stored_completions.list),
        Row("chat_retrieve", "GET", COMPLETION, to.stored_completions.retrieve),
        Row("chat_update", "POST", COMPLETION, to.stored_completions.change),
        Row("chat_delete", "DELETE", COMPLETION, to.stored_completions.delete, starts=True),
        Row("chat_messages", "GET", f"{COMPLETION}/messages", to.stored_completions.messages),
        *files_and_batches(to),
        *pipelines(to),
        Row("models_list", "GET", "v1/models", to.models.list),
        Row("models_retrieve", "GET", "v1/models/{model}", to.models.retrieve),
        Row("models_delete", "DELETE", "v1/models/{model}", to.models.delete),
        Row("owners_delete", "DELETE", "v1/owners/{owner_id}", to.owners.delete, starts=True),
        Row("usage_list", "GET", "v1/usage", to.usage.list),
        Row("budgets_list", "GET", "v1/budgets", to.budgets.list),
        Row("economics_retrieve", "GET", "v1/economics", to.economics.retrieve),
        Row("limits_retrieve", "GET", "v1/limits", to.limits.retrieve),
        Row("limits_update", "POST", "v1/limits", to.limits.update),
        Row("fleet_list", "GET", "v1/fleet", to.fleet.list),
        Row("tools_list", "GET", "v1/tools", to.tools.list),
        Row("tools_accept", "POST", "v1/tools/{server_label}/{fingerprint}", to.tools.accept),
        Row("fleet_investment", "GET", "v1/fleet/{backend}/investment", to.investments.retrieve),
        Row("fleet_warm_up", "POST", "v1/fleet/{backend}/warm_up", to.warm_ups.warm_up),
        Row("turns_list", "GET", "v1/turns", to.turns.list),
        Row("healthz", "GET", "healthz", to.health.alive, answers_head=True),
        Row("readyz", "GET", "readyz", to.health.ready, answers_head=True),
    )


def files_and_batches(to: HttpFunctions) -> tuple[Row, ...]:
    return (
        Row("files_create", "POST", "v1/files", to.files.create),
        Row("files_list", "GET", "v1/files", to.files.list),
        Row("files_retrieve", "GET", FILE, to.files.retrieve),
        Row("files_content", "GET", f"{FILE}/content", to.files.content),
        Row("files_delete", "DELETE", FILE, to.files.delete),
        Row("batches_create", "POST", "v1/batches", to.batches.create, starts=True),
        Row("batches_list", "GET", "v1/batches", to.batches.list),
        Row("batches_retrieve", "GET", BATCH, to.batches.retrieve),
        Row("batches_route", "GET", f"{BATCH}/route", to.batches.route),
        Row("batches_cancel", "POST", f"{BATCH}/cancel", to.batches.cancel, starts=True),
    )


def pipelines(to: HttpFunctions) -> tuple[Row, ...]:
    return (
        Row("events_greet", "OPTIONS", EVENTS, to.pipelines.greet),
        Row("events_send", "POST", EVENTS, to.pipelines.receive, starts=True),
        Row("pipelines_list", "GET", "v1/pipelines", to.pipelines.list),
        Row("pipelines_dead", "GET", DEAD, to.pipelines.dead),
        Row("pipelines_send_again", "POST", f"{DEAD}/{{dead_id}}", to.pipelines.send_again, starts=True),
    )


def pages(to: HttpFunctions) -> tuple[Row, ...]:
    """Return the rows that serve the console: a browser's, not part of the API's description."""
    return (
        Row("console_page", "GET", "console", to.console.page, answers_head=True),
        Row("console_settings", "GET", "console/settings.json", to.console.settings),
        Row("console_file", "GET", "console/{version}/{name}", to.console.file),
    )


def routes(functions: HttpFunctions) -> tuple[HttpRoute, ...]:
    """Return every HTTP function with its error responses, the description and the catch-alls included."""
    known = [route_of(row, functions.clock) for row in table(functions)]
    known.append(route_of(Row("openapi", "GET", "openapi.json", OpenApi(known).retrieve), functions.clock))
    served = (*known, *(route_of(row, functions.clock) for row in pages(functions)))
    methods: dict[str, tuple[str, ...]] = {}
    for each in served:
        methods[each.template] = (*methods.get(each.template, ()), *each.methods)
    last = catch_all(Fallback(methods), functions.clock)
    return (*served, *azure_routes(known, last), last)


def azure_routes(known: Sequence[HttpRoute], last: HttpRoute) -> Iterator[HttpRoute]:
    """Yield the functions that pass the paths of the Azure OpenAI clients to the known routes."""
    answer = AzurePaths(known, last.handler).answer
    for name, template in AZURE_PATHS.items():
        yield HttpRoute(name=name, template=template, methods=ANY_METHOD, handler=answer, needs_client=True)


def route_of(row: Row, clock: Clock) -> HttpRoute:
    name = f"http_{row.name}"
    handler = with_error_responses(row.handler, name=name, clock=clock)
    methods = (row.method, "HEAD") if row.answers_head else (row.method,)
    return HttpRoute(name=name, template=row.template, methods=methods, handler=handler, needs_client=row.starts)


def catch_all(fallback: Fallback, clock: Clock) -> HttpRoute:
    """Return the function for all other requests. Its name sorts last, so the host tries it last."""
    name = "zz_unknown"
    handler = with_error_responses(fallback.answer, name=name, clock=clock)
    return HttpRoute(name=name, template=CATCH_ALL, methods=ANY_METHOD, handler=handler)
