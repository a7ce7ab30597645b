"""How does a call look as a Chat Completions request?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from clients.backends.port import BackendCall
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.schema_tool_calls import output_schema, tool_instructions
from domain.content.tools import ANYTHING, FunctionTool, OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.fleet.catalog import Backend, ContinuationMode

ROLES: Mapping[Role, str] = {Role.DEVELOPER: "system"}

type Message = dict[str, Any]


def request_body(backend: Backend, call: BackendCall) -> dict[str, Any]:
    """Return the Chat Completions request of a call."""
    by_schema = call.by_schema and bool(call.form.callable_functions)
    messages = list(told_messages(call.items) if call.by_schema else native_messages(call.items))
    instructions = [call.instructions or "", tool_instructions(call.form) if by_schema else ""]
    if told := "\n\n".join(each for each in instructions if each):
        messages.insert(0, {"role": "system", "content": told})
    if not messages:
        messages.append({"role": "user", "content": ""})
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
    formed = by_schema_fields(call.form) if by_schema else native_fields(call.form)
    return body | formed | partial_answer(backend, call, messages)


def partial_answer(backend: Backend, call: BackendCall, messages: list[Message]) -> dict[str, Any]:
    """Return the fields that make the backend go on from what was shown."""
    if not call.partial:
        return {}
    going_on: dict[str, Any] = {"messages": [*messages, {"role": "assistant", "content": call.partial}]}
    if backend.continues is ContinuationMode.CONTINUE_FINAL_MESSAGE:
        going_on |= {"continue_final_message": True, "add_generation_prompt": False}
    return going_on


def native_messages(items: Iterable[Item]) -> Iterator[Message]:
    """Give the conversation; calls that follow each other, or a text of the assistant, share its message."""
    said: Message | None = None
    for item in items:
        if item.kind is ItemKind.FUNCTION_CALL:
            said = said or {"role": "assistant", "content": None}
            said.setdefault("tool_calls", []).append(tool_call(item))
            continue
        if item.kind is ItemKind.REASONING:
            continue
        if said:
            yield said
        said = message(item)
        if item.kind is ItemKind.FUNCTION_OUTPUT or item.role is not Role.ASSISTANT:
            yield said
            said = None
    if said:
        yield said


def message(item: Item) -> Message:
    if item.kind is ItemKind.FUNCTION_OUTPUT:
        return {"role": "tool", "tool_call_id": item.call_id, "content": item.text}
    content = [part(each) for each in item.parts()] if item.images else item.text
    return {"role": ROLES.get(item.role, item.role.value), "content": content}


def part(given: str | ImageInput) -> dict[str, Any]:
    if isinstance(given, str):
        return {"type": "text", "text": given}
    return {"type": "image_url", "image_url": {"url": given.url, "detail": given.detail}}


def tool_call(item: Item) -> dict[str, Any]:
    return {"id": item.call_id, "type": "function", "function": {"name": item.name, "arguments": item.text}}


def told_messages(items: Iterable[Item]) -> Iterator[Message]:
    """Give the conversation to a model that knows no functions: calls and their results are told in words."""
    names: dict[str, str] = {}
    for item in items:
        if item.kind is ItemKind.FUNCTION_CALL:
            names[item.call_id] = item.name
            call = f'{{"name": "{item.name}", "arguments": {item.text}}}'
            yield {"role": "assistant", "content": f'{{"calls": [{call}]}}'}
        elif item.kind is ItemKind.FUNCTION_OUTPUT:
            name = names.get(item.call_id, item.call_id)
            yield {"role": "user", "content": f"The result of {name}: {item.text}"}
        elif item.kind is ItemKind.MESSAGE:
            yield message(item)


def by_schema_fields(form: ToolConfig) -> dict[str, Any]:
    wanted = {"name": "answer", "schema": output_schema(form), "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": wanted}}


def native_fields(form: ToolConfig) -> dict[str, Any]:
    functions = form.callable_functions
    fields: dict[str, Any] = {"tools": [tool(each) for each in functions]} if functions else {}
    if functions and form.tool_choice is ToolChoice.REQUIRED:
        single = {"type": "function", "function": {"name": functions[0].name}}
        fields["tool_choice"] = single if form.single else "required"
    if functions and not form.parallel:
        fields["parallel_tool_calls"] = False
    return fields | format_fields(form.format)


def tool(function: FunctionTool) -> dict[str, Any]:
    told = {"name": function.name, "parameters": function.parameters or ANYTHING}
    more = {"description": function.description, "strict": function.strict or None}
    return {"type": "function", "function": told | {name: value for name, value in more.items() if value is not None}}


def format_fields(wanted: OutputFormat) -> dict[str, Any]:
    match wanted.kind:
        case OutputFormatKind.TEXT:
            return {}
        case OutputFormatKind.JSON_OBJECT:
            return {"response_format": {"type": "json_object"}}
        case OutputFormatKind.JSON_SCHEMA:
            told = {"name": wanted.name, "schema": wanted.schema or {}, "description": wanted.description}
            schema = {name: value for name, value in told.items() if value is not None}
            strict = {} if wanted.strict is None else {"strict": wanted.strict}
            return {"response_format": {"type": "json_schema", "json_schema": schema | strict}}
