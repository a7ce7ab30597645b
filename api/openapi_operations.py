"""What does each operation of the API take and answer, by the names of its schemas?"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from api.http.pagination import DEFAULT_LIMIT, FILES_LIMIT, LIMIT
from domain.files.stored_file import LISTED_PURPOSES
from domain.log.events import ResponseStatus

type Json = dict[str, Any]


BYTES = "Bytes"
"""The result of an operation that returns a file's content."""


class OpenApiOperation(Struct, frozen=True, kw_only=True):
    """What a route does, with the names of its schemas.

    `body` is in JSON, `form` one of multipart/form-data; `streams` is true where it may return server-sent events,
    `tabulates` where it may return CSV. `public` needs no token; `refuses` tells that such a request can be wrong all
    the same. An empty `result` is an answer without a body. `statuses` are a success's; `most` is the largest page.
    """

    summary: str
    result: str = "Object"
    body: str | None = None
    form: str | None = None
    query: tuple[str, ...] = ()
    streams: bool = False
    tabulates: bool = False
    public: bool = False
    refuses: bool = False
    statuses: tuple[int, ...] = (200,)
    most: int = LIMIT

    def parameter_schema(self, name: str) -> Json:
        """Return the JSON schema of a query parameter."""
        return QUERIES[name] | ({"maximum": self.most} if name == "limit" else {})


PAGE = ("limit", "after", "order")


OPERATIONS: Mapping[str, OpenApiOperation] = {
    "http_responses_create": OpenApiOperation(
        summary="Create a response", result="Response", body="CreateResponse", streams=True
    ),
    "http_responses_retrieve": OpenApiOperation(
        summary="Retrieve or stream a response", result="Response", query=("stream", "starting_after"), streams=True
    ),
    "http_responses_cancel": OpenApiOperation(summary="Cancel a background response", result="Response"),
    "http_approvals_decide": OpenApiOperation(
        summary="Decide a request for an approval that a response waits for", result="Item", body="DecideApproval"
    ),
    "http_approvals_list": OpenApiOperation(
        summary="List the open requests for an approval that the caller may decide, newest first",
        result="List",
        query=("limit", "after"),
    ),
    "http_responses_delete": OpenApiOperation(summary="Delete a response", result="Deleted"),
    "http_responses_items": OpenApiOperation(summary="List the input items of a response", result="List", query=PAGE),
    "http_responses_route": OpenApiOperation(
        summary="Report the routes, the calls of tools and the cost of a turn", result="RouteReport"
    ),
    "http_responses_compact": OpenApiOperation(
        summary="Summarize a conversation", result="Compaction", body="CreateCompaction"
    ),
    "http_responses_count": OpenApiOperation(
        summary="Count the input tokens of a request", result="InputTokens", body="CountTokens"
    ),
    "http_conversations_list": OpenApiOperation(
        summary="List the caller's conversations, newest first", result="List", query=("limit", "after")
    ),
    "http_conversations_create": OpenApiOperation(
        summary="Create a conversation", result="Conversation", body="CreateConversation"
    ),
    "http_conversations_retrieve": OpenApiOperation(summary="Retrieve a conversation", result="Conversation"),
    "http_conversations_update": OpenApiOperation(
        summary="Update the metadata of a conversation", result="Conversation", body="ChangeMetadata"
    ),
    "http_conversations_delete": OpenApiOperation(summary="Delete a conversation", result="Deleted"),
    "http_items_list": OpenApiOperation(summary="List the items of a conversation", result="List", query=PAGE),
    "http_items_create": OpenApiOperation(summary="Add items to a conversation", result="List", body="AddItems"),
    "http_items_retrieve": OpenApiOperation(summary="Retrieve an item", result="Item"),
    "http_items_delete": OpenApiOperation(summary="Delete an item", result="Conversation"),
    "http_chat_create": OpenApiOperation(
        summary="Create a chat completion", result="ChatCompletion", body="CreateChat", streams=True
    ),
    "http_chat_list": OpenApiOperation(summary="List stored chat completions", result="List", query=PAGE),
    "http_chat_retrieve": OpenApiOperation(summary="Retrieve a stored chat completion", result="ChatCompletion"),
    "http_chat_update": OpenApiOperation(
        summary="Update the metadata of a stored chat completion", result="ChatCompletion", body="ChangeMetadata"
    ),
    "http_chat_delete": OpenApiOperation(summary="Delete a stored chat completion", result="Deleted"),
    "http_chat_messages": OpenApiOperation(
        summary="List the messages of a stored chat completion", result="List", query=PAGE
    ),
    "http_owners_delete": OpenApiOperation(summary="Delete all data of an owner", result="Deleted"),
    "http_usage_list": OpenApiOperation(
        summary="Report usage and cost",
        result="List",
        query=(*PAGE, "from", "to", "group_by", "format"),
        tabulates=True,
    ),
    "http_budgets_list": OpenApiOperation(summary="List the budgets that count the caller", result="List"),
    "http_economics_retrieve": OpenApiOperation(
        summary="Report what the tenant's requests would cost elsewhere, as published last", result="Economics"
    ),
    "http_limits_retrieve": OpenApiOperation(
        summary="Report the budgets and rate limits of a tenant", result="Limits", query=("tenant",)
    ),
    "http_limits_update": OpenApiOperation(
        summary="Change budgets and rate limits of a tenant without a restart", result="Limits", body="ChangeLimits"
    ),
    "http_fleet_list": OpenApiOperation(summary="Report the state of each backend", result="List"),
    "http_fleet_investment": OpenApiOperation(
        summary="Report what the GPU sessions of a backend earned or lost against answering elsewhere"
    ),
    "http_tools_list": OpenApiOperation(summary="List the tools that MCP servers list", result="List"),
    "http_tools_accept": OpenApiOperation(summary="Accept a tool as its MCP server describes it now"),
    "http_fleet_warm_up": OpenApiOperation(
        summary="Start a backend that scales to zero", result="WarmUp", query=("dry_run",)
    ),
    "http_turns_list": OpenApiOperation(
        summary="List turns, newest first, without content",
        result="List",
        query=("limit", "after", "from", "to", "status", "model", "backend", "scope"),
    ),
    "http_files_create": OpenApiOperation(summary="Upload a file", result="File", form="CreateFile"),
    "http_files_list": OpenApiOperation(
        summary="List the caller's files", result="List", query=(*PAGE, "purpose"), most=FILES_LIMIT
    ),
    "http_files_retrieve": OpenApiOperation(summary="Retrieve a file", result="File"),
    "http_files_content": OpenApiOperation(summary="Download the content of a file", result=BYTES),
    "http_files_delete": OpenApiOperation(summary="Delete a file", result="Deleted"),
    "http_events_greet": OpenApiOperation(
        summary="Ask whether events may be sent", result="", public=True, refuses=True
    ),
    "http_events_send": OpenApiOperation(summary="Send events to a pipeline (CloudEvents 1.0)", statuses=(200, 202)),
    "http_pipelines_list": OpenApiOperation(summary="List the pipelines of the tenant", result="List"),
    "http_pipelines_dead": OpenApiOperation(
        summary="List the dead events of a pipeline, without content", result="List", query=("limit", "after")
    ),
    "http_pipelines_send_again": OpenApiOperation(summary="Send a dead event again", statuses=(202,)),
    "http_batches_create": OpenApiOperation(summary="Create a batch", result="Batch", body="CreateBatch"),
    "http_batches_list": OpenApiOperation(
        summary="List the caller's batches, newest first", result="List", query=("limit", "after")
    ),
    "http_batches_retrieve": OpenApiOperation(summary="Retrieve a batch", result="Batch"),
    "http_batches_route": OpenApiOperation(summary="Report when a batch begins, and why"),
    "http_batches_cancel": OpenApiOperation(summary="Cancel a batch", result="Batch"),
    "http_models_list": OpenApiOperation(summary="List the models", result="Models"),
    "http_models_retrieve": OpenApiOperation(summary="Retrieve a model", result="Model"),
    "http_models_delete": OpenApiOperation(summary="Not supported: models cannot be deleted", result="Deleted"),
    "http_healthz": OpenApiOperation(summary="Check whether this instance is alive", public=True),
    "http_readyz": OpenApiOperation(summary="Check whether this instance is ready to serve turns", public=True),
    "http_openapi": OpenApiOperation(summary="This document", public=True),
}


OPTIONAL_BODIES = ("CreateConversation",)


QUERIES: Mapping[str, Json] = {
    "limit": {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
    "after": {"type": "string"},
    "order": {"type": "string", "enum": ["asc", "desc"]},
    "purpose": {"type": "string", "enum": list(LISTED_PURPOSES)},
    "stream": {"type": "string", "enum": ["true", "false"]},
    "from": {"type": "string", "format": "date"},
    "to": {"type": "string", "format": "date"},
    "group_by": {"type": "string"},
    "format": {"type": "string", "enum": ["json", "csv", "focus"], "default": "json"},
    "status": {"type": "string", "enum": [status.value for status in ResponseStatus]},
    "model": {"type": "string"},
    "backend": {"type": "string"},
    "tenant": {"type": "string"},
    "scope": {"type": "string", "enum": ["owner", "tenant"], "default": "owner"},
    "dry_run": {"type": "string", "enum": ["true", "false"], "default": "false"},
    "starting_after": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1},
}
