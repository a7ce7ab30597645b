"""Which HTTP request is a call of a tool, and what is its result?

The file of the tools has the method, the path and the place of each argument. A model's values are only ever values:
one segment of a path, one parameter of a query, one member of a body.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from clients.sources.egress import HttpAnswer, NotConnectedError, PinnedClient
from clients.sources.port import SourceError, SourceTokens
from clients.tools.credentials import key_argument, key_header, server_credentials
from clients.tools.port import CallFailure, ToolAnswer, ToolError, ToolRequest
from domain.tools.catalog import ArgumentPlace, ServerTool
from domain.tools.results import result_text, selected

DOT_SEGMENTS = frozenset({"", ".", ".."})
ERROR_LIMIT = 2000
"""How many characters of an error's body are kept."""


class HttpTool:
    """Calls operations of HTTP services."""

    def __init__(self, client: PinnedClient, tokens: SourceTokens) -> None:
        self.client = client
        self.tokens = tokens

    async def call(self, request: ToolRequest) -> ToolAnswer:
        server, tool, key = request.server, request.tool, request.key
        placed = placed_arguments(tool, request.arguments)
        try:
            answer = await self.client.exchange(
                server,
                tool.method,
                path_of(tool, placed[ArgumentPlace.PATH]),
                query=tuple(query_of(tool, placed[ArgumentPlace.QUERY], key)),
                body=body_of(tool, placed[ArgumentPlace.BODY], key),
                headers={**await server_credentials(self.tokens, server, request.grant), **key_header(tool, key)},
                deadline_s=tool.timeout_s,
                reads_errors=True,
            )
        except NotConnectedError as error:
            raise ToolError(CallFailure.NOT_SENT, f"The call was not sent: {error}.") from None
        except SourceError as error:
            raise ToolError(CallFailure.NO_ANSWER, f"The server gave no usable answer: {error}.") from None
        return read_answer(tool, answer)


def placed_arguments(tool: ServerTool, arguments: Mapping[str, Any]) -> Mapping[ArgumentPlace, Mapping[str, Any]]:
    return {
        place: {
            each.name: arguments[each.name] for each in tool.arguments if each.place is place and each.name in arguments
        }
        for place in ArgumentPlace
    }


def path_of(tool: ServerTool, values: Mapping[str, Any]) -> str:
    """Return the path with its arguments, each of them one segment. Raises ToolError for a segment of dots."""
    path = tool.path
    for name, value in values.items():
        text = value_text(value)
        if text in DOT_SEGMENTS:
            raise ToolError(CallFailure.NOT_SENT, f"The call was not sent: the argument {name!r} must name something.")
        path = path.replace(f"{{{name}}}", quote(text, safe=""))
    return path


def query_of(tool: ServerTool, values: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        values_of: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [value]
        yield from ((name, value_text(each)) for each in values_of)
    if not tool.method.has_body:
        yield from key_argument(tool, key).items()


def body_of(tool: ServerTool, values: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    return {**values, **key_argument(tool, key)} if tool.method.has_body else None


def value_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_answer(tool: ServerTool, answer: HttpAnswer) -> ToolAnswer:
    """Return the selected part of a JSON answer; another answer is taken as text, and so is an error."""
    text = answer.body.decode(errors="replace")
    if not answer.is_success:
        return ToolAnswer(status=answer.status, text=text[:ERROR_LIMIT])
    try:
        value: Any = json.loads(text)
        return ToolAnswer(status=answer.status, text=result_text(selected(value, tool.answer, tool.fields)))
    except (ValueError, RecursionError):
        return ToolAnswer(status=answer.status, text=result_text(text))
