"""Which Chat Completions request does a call to a backend become?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from clients.backends.port import BackendCall
from clients.backends.tool_calls import NO_ARGUMENTS
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.schema_tool_calls import output_schema, tool_instructions
from domain.content.tools import ANYTHING, FunctionTool, OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.fleet.catalog import Backend, ContinuationMode

ROLES: Final[Mapping[Role, str]] = {Role.DEVELOPER: "system"}
"""The roles that Chat Completions servers know by another name."""

type Message = dict[str, Any]


def request_body(backend: Backend, call: BackendCall) -> dict[str, Any]:
    """Return the body of the Chat Completions request for a call."""
    by_schema = call.by_schema and bool(call.tools.callable_functions)
    messages = prompt_messages(call, by_schema=by_schema)
    body: dict[str, Any] = {
        "model": backend.served_model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": call.max_output_tokens,
    }
    if call.sampling.temperature is not None:
        body["temperature"] = call.sampling.temperature
    if call.sampling.top_p is not None:
        body["top_p"] = call.sampling.top_p
    body |= call.sampling.parameters
    tool_fields = schema_tool_fields(call.tools) if by_schema else native_tool_fields(call.tools)
    return body | tool_fields | continuation_fields(backend, call, messages)


def prompt_messages(call: BackendCall, *, by_schema: bool) -> list[Message]:
    """Return the instructions and the conversation. The last message is never one of the assistant.

    Many servers continue an assistant message at the end, or reject it. An empty user message after it makes every
    server begin a new answer; only the partial answer of this turn is to be continued.
    """
    messages = list(schema_messages(call.items) if call.by_schema else native_messages(call.items))
    texts = [call.instructions or "", tool_instructions(call.tools) if by_schema else ""]
    if instructions := "\n\n".join(text for text in texts if text):
        messages.insert(0, {"role": "system", "content": instructions})
    if not messages or messages[-1]["role"] == "assistant":
        messages.append({"role": "user", "content": ""})
    return messages


def continuation_fields(backend: Backend, call: BackendCall, messages: list[Message]) -> dict[str, Any]:
    """Return the fields that make the backend continue the text that readers have already received."""
    if not call.partial:
        return {}
    fields: dict[str, Any] = {"messages": [*messages, {"role": "assistant", "content": call.partial}]}
    if backend.continues is ContinuationMode.CONTINUE_FINAL_MESSAGE:
        fields |= {"continue_final_message": True, "add_generation_prompt": False}
    return fields


def native_messages(items: Iterable[Item]) -> Iterator[Message]:
    """Yield the conversation. Consecutive function calls share one message with the assistant's text before them."""
    assistant: Message | None = None
    for item in items:
        if item.kind is ItemKind.FUNCTION_CALL:
            assistant = assistant or {"role": "assistant", "content": None}
            assistant.setdefault("tool_calls", []).append(tool_call(item))
            continue
        if item.kind is ItemKind.REASONING:
            continue
        if assistant:
            yield assistant
        assistant = message(item)
        if item.kind is ItemKind.FUNCTION_OUTPUT or item.role is not Role.ASSISTANT:
            yield assistant
            assistant = None
    if assistant:
        yield assistant


def message(item: Item) -> Message:
    if item.kind is ItemKind.FUNCTION_OUTPUT:
        return {"role": "tool", "tool_call_id": item.call_id, "content": item.text}
    content = [content_part(part) for part in item.parts()] if item.images else item.text
    return {"role": ROLES.get(item.role, item.role.value), "content": content}


def content_part(part: str | ImageInput) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}}


def tool_call(item: Item) -> dict[str, Any]:
    function = {"name": item.name, "arguments": arguments_of(item)}
    return {"id": item.call_id, "type": "function", "function": function}


def arguments_of(item: Item) -> str:
    """Return the JSON arguments of a call; servers parse them and reject an empty text."""
    return item.text if item.text.strip() else NO_ARGUMENTS


def schema_messages(items: Iterable[Item]) -> Iterator[Message]:
    """Yield the conversation for a model without function calling: calls and their results become plain text."""
    names: dict[str, str] = {}
    for item in items:
        if item.kind is ItemKind.FUNCTION_CALL:
            names[item.call_id] = item.name
            call = f'{{"name": "{item.name}", "arguments": {arguments_of(item)}}}'
            yield {"role": "assistant", "content": f'{{"calls": [{call}]}}'}
        elif item.kind is ItemKind.FUNCTION_OUTPUT:
            name = names.get(item.call_id, item.call_id)
            yield {"role": "user", "content": f"The result of {name}: {item.text}"}
        elif item.kind is ItemKind.MESSAGE:
            yield message(item)


def schema_tool_fields(tools: ToolConfig) -> dict[str, Any]:
    """Return the fields that hold a model without function calling to the schema of its calls."""
    schema = {"name": "answer", "schema": output_schema(tools), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def native_tool_fields(tools: ToolConfig) -> dict[str, Any]:
    """Return the fields for a model that calls functions itself."""
    functions = tools.callable_functions
    fields: dict[str, Any] = {"tools": [tool(function) for function in functions]} if functions else {}
    if functions and tools.tool_choice is ToolChoice.REQUIRED:
        only_function = {"type": "function", "function": {"name": functions[0].name}}
        fields["tool_choice"] = only_function if tools.single else "required"
    if functions and not tools.parallel:
        fields["parallel_tool_calls"] = False
    return fields | format_fields(tools.format)


def tool(function: FunctionTool) -> dict[str, Any]:
    required = {"name": function.name, "parameters": function.parameters or ANYTHING}
    optional = {"description": function.description, "strict": function.strict or None}
    return {"type": "function", "function": required | without_none(optional)}


def format_fields(output_format: OutputFormat) -> dict[str, Any]:
    match output_format.kind:
        case OutputFormatKind.TEXT:
            return {}
        case OutputFormatKind.JSON_OBJECT:
            return {"response_format": {"type": "json_object"}}
        case OutputFormatKind.JSON_SCHEMA:
            schema = {
                "name": output_format.name,
                "schema": output_format.schema or {},
                "description": output_format.description,
                "strict": output_format.strict,
            }
            return {"response_format": {"type": "json_schema", "json_schema": without_none(schema)}}


def without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
