"""Which tools do MCP servers list, which of them are accepted, and who accepts a changed one?"""

import asyncio
from typing import Final

from azurefunctions.extensions.http.fastapi import Request, Response

from activities.tools.caller_grants import CallerGrants, Granted
from api.endpoints.reports.parameters import require_role
from api.http.authentication import Authenticator, owner_of, presented_token
from api.http.errors import json_answer
from api.http.pagination import list_object
from api.rendering.response import Json
from clients.tools.port import AS_APP, Credential, in_name_of
from domain.errors import Forbidden, Invalid, NotFound, Unavailable
from domain.identity.owners import Owner
from domain.identity.roles import AppRole
from domain.tools.catalog import ServerKind, ToolServer, ToolServers
from domain.tools.listings.listing import ListedTool
from state.tools.directory import ToolDirectory, ToolReport

NO_OPERATOR: Final = "Only the operator's tenant accepts tools: the one that GANGLION_OPERATOR_TENANT names."


class ToolReports:
    """The HTTP functions of the tools that servers list themselves.

    What is accepted holds for every tenant, so only those of the tenant `operator` accept; empty: nobody.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        servers: ToolServers,
        directory: ToolDirectory,
        grants: CallerGrants,
        operator: str,
    ) -> None:
        self.authenticator = authenticator
        self.operator = operator
        self.servers = servers
        self.directory = directory
        self.grants = grants

    async def list(self, req: Request) -> Response:
        """`GET /v1/tools`"""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_READ)
        known = [each for each in self.servers.known.values() if each.is_open_to(owner)]
        asked = [each for each in known if each.kind is ServerKind.MCP]
        credentials = [await self.credential(req, owner, each) for each in asked]
        reports = await asyncio.gather(*map(self.directory.report, asked, credentials))
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
        credential = await self.credential(req, owner, server) if server else AS_APP
        tool = await self.directory.accept(server, fingerprint, credential) if server else None
        if server is None or tool is None:
            raise NotFound.by_id("Tool", fingerprint)
        return json_answer(tool_object(server, tool, "accepted"))

    async def credential(self, req: Request, owner: Owner, server: ToolServer) -> Credential:
        """Return in whose name a server lists its tools; a caller without rights there gets no list."""
        try:
            granted = await self.grants.to_list(owner, (server,), presented_token(req))
        except (Invalid, Unavailable):
            granted: Granted = {}
        return in_name_of(owner, server, granted[server.label].token if server.label in granted else "")


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
