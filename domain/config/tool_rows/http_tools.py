"""Which HTTP request is a call of a tool, as the file of the tools describes it?"""

import re
from copy import replace
from typing import Final

from domain.config.argument_schemas import schema_problems
from domain.config.toml_table import TomlTable, plain_table
from domain.config.tool_rows.common import ARGUMENT, read_common
from domain.tools.catalog import ArgumentPlace, HttpMethod, KeyPlace, ServerTool, ToolArgument, ToolEffect

PATH: Final = re.compile(r"(/([A-Za-z0-9._~-]+|\{[A-Za-z][A-Za-z0-9_-]*\}))*")
IN_BRACES: Final = re.compile(r"\{([^}]*)\}")


def read_http_tool(name: str, table: TomlTable) -> ServerTool:
    method = table.choice("method", HttpMethod)
    arguments = tuple(read_argument(each, part, method) for each, part in table.tables("arguments"))
    tool = replace(
        read_common(name, table),
        description=table.text("description"),
        method=method,
        path=read_path(table, arguments),
        arguments=arguments,
        answer=table.texts("answer"),
        fields=table.texts("fields"),
    )
    table.close()
    check_request(tool, table)
    return tool


def check_request(tool: ServerTool, table: TomlTable) -> None:
    if tool.key and tool.key.place is KeyPlace.ARGUMENT and tool.key.name in {each.name for each in tool.arguments}:
        table.report("idempotency", "an argument that the model does not give")
    if tool.effect is ToolEffect.WRITE and tool.method is HttpMethod.GET:
        table.report("method", "another method than GET for a write")


def read_argument(name: str, table: TomlTable, method: HttpMethod) -> ToolArgument:
    if not ARGUMENT.fullmatch(name):
        table.problems.append(f"{table.path}: expected a name of letters, digits, _ and -, at most 64 characters")
    default = ArgumentPlace.BODY if method.has_body else ArgumentPlace.QUERY
    place = table.choice("in", ArgumentPlace, default)
    if place is ArgumentPlace.BODY and not method.has_body:
        table.report("in", f"path or query, for {method} has no body")
    schema = table.values.get("schema", {"type": "string"})
    table.known.add("schema")
    table.problems.extend(schema_problems(schema, table.name_of("schema")))
    argument = ToolArgument(
        name=name,
        place=place,
        schema=plain_table(schema) or {},
        required=table.flag("required", default=True),
    )
    table.close()
    return argument


def read_path(table: TomlTable, arguments: tuple[ToolArgument, ...]) -> str:
    """Return a path whose arguments in braces are exactly the required ones with the place `path`."""
    path = table.text("path")
    if not PATH.fullmatch(path) or ".." in path:
        table.report("path", "a path of plain segments and arguments in braces, as /v1/orders/{number}")
    named, placed = IN_BRACES.findall(path), [each for each in arguments if each.place is ArgumentPlace.PATH]
    if sorted(named) != sorted(each.name for each in placed):
        table.report("path", 'each argument with in = "path" once, in braces')
    if optional := next((each.name for each in placed if not each.required), None):
        table.problems.append(f"{table.name_of('arguments')}.{optional}.required: expected true in a path, found False")
    return path
