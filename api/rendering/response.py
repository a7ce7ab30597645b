"""How does a turn become an OpenAI response object?

Everything that changes while a turn runs is read from its log, so that a stream, a poll and the final object agree.
Strict clients accept only the codes of the specification: another code is replaced by the nearest of them and returned
in `metadata`.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from api.rendering.logprobs import openai_from_logprobs
from api.rendering.tools import openai_from_text_options, openai_from_tool_config
from domain.content.custom_tools import custom_text
from domain.content.items import ImageInput, Item, ItemKind, ItemStatus, Role
from domain.content.packed_text import content_of
from domain.log.events import Ending, ResponseStatus, TokenUsage
from domain.log.token_logprobs import TokenLogprob
from domain.log.transcript import Transcript, kept_items
from domain.sources.file_search import queries_of, results_of
from domain.turns.response import IncludedPart, Response

type Json = dict[str, Any]

ERROR_CODES = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})
INCOMPLETE_REASONS = frozenset({"max_output_tokens", "content_filter"})
ENDING_KEY = "ganglion_ending"
LEFT_OUT_KEY = "ganglion_left_out"
RESULTS_LEFT_OUT_KEY = "ganglion_results_left_out"
WARNING_KEY = "ganglion_budget"
METADATA_LIMIT = 16
FAILED_MESSAGE = "The turn failed."

FIELDS_WITHOUT_EFFECT: Mapping[str, Any] = {
    "max_tool_calls": None,
    "service_tier": "default",
    "safety_identifier": None,
    "prompt_cache_key": None,
}
"""The fields that have no effect, and their values where the request has none."""


def openai_from_response(response: Response, transcript: Transcript) -> Json:
    """Return the response object for the log so far."""
    ending = transcript.ending
    return {
        "id": response.id,
        "object": "response",
        "created_at": int(response.created_at),
        "completed_at": int(ending.at) if ending and ending.status is ResponseStatus.COMPLETED else None,
        "status": visible_status(response, transcript),
        "incomplete_details": incomplete_details(ending),
        "model": response.model,
        "previous_response_id": response.history.previous,
        **({"conversation": {"id": response.history.conversation}} if response.history.conversation else {}),
        "instructions": response.options.instructions,
        "output": [openai_from_logged(item, response, transcript) for item in kept_items(transcript)],
        "error": error_of(ending),
        "top_p": 1.0 if response.options.sampling.top_p is None else response.options.sampling.top_p,
        "temperature": 1.0 if response.options.sampling.temperature is None else response.options.sampling.temperature,
        "usage": openai_from_usage(ending.usage) if ending and ending.usage else None,
        "max_output_tokens": response.options.sampling.max_output_tokens,
        "truncation": "auto" if response.history.truncates else "disabled",
        "store": response.options.store,
        "background": response.options.background,
        "metadata": metadata_of(response, ending),
        **openai_from_tool_config(response.options.tool_config),
        "text": openai_from_text_options(
            response.options.tool_config.format, response.options.sampling.parameters.get("verbosity")
        ),
        **parameters_of(response.options.sampling.parameters),
        **FIELDS_WITHOUT_EFFECT,
        **response.options.echoed,
    }


def parameters_of(parameters: Mapping[str, Any]) -> Json:
    effort = parameters.get("reasoning_effort")
    return {
        "frequency_penalty": parameters.get("frequency_penalty", 0.0),
        "top_logprobs": parameters.get("top_logprobs", 0),
        "presence_penalty": parameters.get("presence_penalty", 0.0),
        "reasoning": {"effort": effort, "summary": None} if effort else None,
    }


def visible_status(response: Response, transcript: Transcript) -> str:
    """Return the status; clients expect the status queued for background responses only."""
    is_waiting = transcript.status is ResponseStatus.QUEUED and not response.options.background
    return (ResponseStatus.IN_PROGRESS if is_waiting else transcript.status).value


def incomplete_details(ending: Ending | None) -> Json | None:
    if ending is None or ending.status is not ResponseStatus.INCOMPLETE:
        return None
    return {"reason": ending.code if ending.code in INCOMPLETE_REASONS else "max_output_tokens"}


def error_of(ending: Ending | None) -> Json | None:
    if ending is None or ending.status is not ResponseStatus.FAILED:
        return None
    code = ending.code if ending.code in ERROR_CODES else "server_error"
    return {"code": code, "message": ending.message or FAILED_MESSAGE}


def metadata_of(response: Response, ending: Ending | None) -> Json:
    """Return the caller's metadata and, as far as the limit allows, the service's own notes."""
    notes = dict(ending.notes) if ending else {}
    if response.history.left_out:
        notes[LEFT_OUT_KEY] = f"the oldest {response.history.left_out} turns"
    if response.history.results_out:
        notes[RESULTS_LEFT_OUT_KEY] = f"the oldest {response.history.results_out} results of tools"
    if response.warning:
        notes[WARNING_KEY] = response.warning
    if ending and ending.code and ending.code not in ERROR_CODES | INCOMPLETE_REASONS:
        notes[ENDING_KEY] = ending.code
    room = max(METADATA_LIMIT - len(response.options.metadata), 0)
    own = sorted(notes.items(), key=lambda note: note[0] != ENDING_KEY)[:room]
    return {**response.options.metadata, **dict(own)}


def openai_from_usage(usage: TokenUsage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.written_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def text_part(text: str, logprobs: Iterable[TokenLogprob] = ()) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": openai_from_logprobs(logprobs)}


def refusal_part(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def summary_part(text: str) -> Json:
    return {"type": "summary_text", "text": text}


def message(item: Item) -> Json:
    is_answer = item.role is Role.ASSISTANT
    return {
        "type": "message",
        "id": item.id,
        "status": item.status.value,
        "role": item.role.value,
        "content": answer_parts(item) if is_answer else [input_part(each) for each in item.parts()],
    }


def answer_parts(item: Item) -> list[Json]:
    """Return the text and the refusal of a message of the model. An empty answer has an empty text."""
    is_begun = item.status is ItemStatus.IN_PROGRESS
    has_text = bool(item.text) or not (item.refusal or is_begun)
    refusal = [refusal_part(item.refusal)] if item.refusal else []
    return [*([text_part(item.text)] if has_text else []), *refusal]


def input_part(part: str | ImageInput) -> Json:
    if isinstance(part, str):
        return {"type": "input_text", "text": part}
    return {"type": "input_image", "image_url": part.url, "detail": part.detail, "file_id": None}


def function_call(item: Item) -> Json:
    kind, content = ("custom_tool_call", "input") if item.is_custom else ("function_call", "arguments")
    return {
        "type": kind,
        "id": item.id,
        "call_id": item.call_id,
        "name": item.name,
        **({"namespace": item.namespace} if item.namespace else {}),
        content: custom_text(item.text) if item.is_custom else item.text,
        "status": item.status.value,
    }


def function_output(item: Item) -> Json:
    return {
        "type": "custom_tool_call_output" if item.is_custom else "function_call_output",
        "id": item.id,
        "call_id": item.call_id,
        "output": [input_part(each) for each in item.parts()] if item.images else item.text,
        "status": item.status.value,
    }


def reasoning(item: Item) -> Json:
    is_begun = item.status is ItemStatus.IN_PROGRESS
    summary = [summary_part(item.text)] if item.text and not is_begun else []
    return {"type": "reasoning", "id": item.id, "summary": summary, "status": item.status.value}


def server_tools(item: Item) -> Json:
    return {
        "type": "mcp_list_tools",
        "id": item.id,
        "server_label": item.server,
        "tools": json.loads(item.output or "[]"),
        **({"error": item.error.get("message")} if item.error else {}),
    }


def server_call(item: Item) -> Json:
    return {
        "type": "mcp_call",
        "id": item.id,
        "server_label": item.server,
        "name": item.name,
        "arguments": item.text,
        "status": item.status.value,
        "output": item.output,
        "error": dict(item.error) if item.error else None,
        "approval_request_id": item.approval or None,
    }


def search_call(item: Item) -> Json:
    return {
        "type": "file_search_call",
        "id": item.id,
        "queries": queries_of(item),
        "status": item.status.value,
        "results": None,
    }


def approval_request(item: Item) -> Json:
    return {
        "type": "mcp_approval_request",
        "id": item.id,
        "server_label": item.server,
        "name": item.name,
        "arguments": item.text,
    }


def approval_response(item: Item) -> Json:
    return {
        "type": "mcp_approval_response",
        "id": item.id,
        "approval_request_id": item.approval,
        "approve": item.approves,
        "reason": item.text or None,
    }


SHAPES: Mapping[ItemKind, Callable[[Item], Json]] = {
    ItemKind.MESSAGE: message,
    ItemKind.FUNCTION_CALL: function_call,
    ItemKind.FUNCTION_OUTPUT: function_output,
    ItemKind.REASONING: reasoning,
    ItemKind.MCP_TOOLS: server_tools,
    ItemKind.MCP_CALL: server_call,
    ItemKind.FILE_SEARCH: search_call,
    ItemKind.APPROVAL_REQUEST: approval_request,
    ItemKind.APPROVAL_RESPONSE: approval_response,
}


def openai_from_item(item: Item, include: Collection[IncludedPart] = ()) -> Json:
    """Return the object of an item; parts that are sent on demand only where `include` names them."""
    body = SHAPES[item.kind](item)
    is_packed = item.kind is ItemKind.REASONING and IncludedPart.ENCRYPTED_REASONING in include
    if item.kind is ItemKind.FILE_SEARCH and IncludedPart.SEARCH_RESULTS in include:
        body["results"] = results_of(item)
    return body | ({"encrypted_content": content_of(item.text)} if is_packed else {})


def openai_from_logged(item: Item, response: Response, transcript: Transcript) -> Json:
    """Return the object of an item that a turn has written, with its log probabilities; see `openai_from_item`."""
    body = openai_from_item(item, response.options.include)
    if logprobs := transcript.logprobs.get(item.id):
        body["content"] = [text_part(item.text, logprobs), *body["content"][1:]]
    return body
