"""Which rights and limits has a tool that an MCP server lists? The server has its description and its schema."""

from copy import replace
from typing import Final

from domain.config.toml_table import TomlTable
from domain.config.tool_rows.common import read_common
from domain.tools.catalog import ServerTool

PROGRESS_LIMIT_S: Final = 3600
"""The longest that a request may last, however much progress it reports."""


def read_mcp_tool(name: str, table: TomlTable) -> ServerTool:
    tool = replace(read_common(name, table), progress_s=table.number("progress_s", 0.0))
    if tool.progress_s > PROGRESS_LIMIT_S:
        table.report("progress_s", f"at most {PROGRESS_LIMIT_S} seconds")
    table.close()
    return tool
