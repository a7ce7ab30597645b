"""Which tools do MCP servers list, which of them are accepted, and who accepts a changed one?"""

import asyncio
from typing import Final

from azurefunctions.extensions.http.fastapi import Request, Response

from api.endpoints.reports.parameters import require_role
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.pagination import list_object
from api.rendering.response import Json
from domain.errors import Forbidden, NotFound
from domain.identity.roles import AppRole
from domain.tools.catalog import ServerKind, ToolServer, ToolServers
from domain.tools.listing import ListedTool
from state.tools.directory import ToolDirectory, ToolReport

NO_OPERATOR: Final = "Only the operator's tenant accepts tools: the one that GANGLION_OPERATOR_TENANT names."


class ToolReports:
    """The HTTP functions of the tools that servers list themselves.

    What is accepted holds for every tenant, so only those of the tenant `operator` accept; empty: nobody.
    """

    def __init__(
        self, *, authenticator: Authenticator, servers: ToolServers, directory: ToolDirectory, operator: str
    ) -> None:
        self.authenticator = authenticator
        self.operator = operator
        self.servers = servers
        self.directory = directory

    async def list(self, req: Request) -> Response:
        """`GET /v1/tools`"""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_READ)
        known = [each for each in self.servers.known.values() if each.is_open_to(owner)]
        asked = [each for each in known if each.kind is ServerKind.MCP]
        reports = await asyncio.gather(*(self.directory.report(each) for each in asked))
        pairs = zip(asked, reports, strict=True)
        data = [tool for server, report in pairs for tool in report_objects(server, report)]
        return json_answer(list_object(data, more=False))

    async def accept(self, req: Request) -> Response:
        """`POST /v1/tools/{server_label}/{fingerprint}`: a tool as its server describes it now."""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.TOOLS_ACCEPT)
        if owner.tenant != self.operator:
            raise Forbidden(NO_OPERATOR)
        label, fingerprint = req.path_params["server_label"], req.path_params["fingerprint"]
        server = self.servers.open_to(owner, label)
        tool = await self.directory.accept(server, fingerprint) if server else None
        if server is None or tool is None:
            raise NotFound.by_id("Tool", fingerprint)
        return json_answer(tool_object(server, tool, "accepted"))


def report_objects(server: ToolServer, report: ToolReport) -> list[Json]:
    if report.problem:
        return [{"id": server.label, "object": "tool", "server_label": server.label, "status": "no_list"}]
    return [
        tool_object(server, tool, "accepted" if report.pins.get(tool.name) == tool.fingerprint else "changed")
        for tool in report.tools
    ]


def tool_object(server: ToolServer, tool: ListedTool, status: str) -> Json:
    return {
        "id": tool.fingerprint,
        "object": "tool",
        "server_label": server.label,
        "name": tool.name,
        "status": status,
        "description": tool.description,
        "input_schema": dict(tool.schema),
    }
