"""Which function answers the paths of the Azure OpenAI clients?

They call `/openai/deployments/{model}/chat/completions`, `/openai/responses` and `/openai/v1/…`, each with a query
parameter `api-version`, which has no effect. A deployment is the model of a chat.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol
from urllib.parse import unquote

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.endpoints.fallback import parameter_count
from api.http.errors import Handler

PREFIX = re.compile(r"/(openai/)?(v1/)?(deployments/(?P<model>[^/]+)/(?=chat/))?")
DEPLOYMENT = "deployment"
"""The path parameter that names the model of a chat."""


class AnsweringRoute(Protocol):
    """The properties of a route that a call is passed to."""

    @property
    def template(self) -> str: ...

    @property
    def methods(self) -> tuple[str, ...]: ...

    @property
    def handler(self) -> Handler: ...

    @property
    def needs_client(self) -> bool: ...


class RoutePattern(Struct, frozen=True, kw_only=True):
    """A route, and the pattern of its paths with a group for each parameter."""

    route: AnsweringRoute
    pattern: re.Pattern[str]


class AzurePaths:
    """Passes each call to the function of the same path under /v1, and every other one to the fallback."""

    def __init__(self, routes: Sequence[AnsweringRoute], fallback: Handler) -> None:
        self.routes = routes
        self.fallback = fallback

    @cached_property
    def patterns(self) -> Sequence[RoutePattern]:
        ordered = sorted(self.routes, key=lambda route: parameter_count(route.template))
        return [RoutePattern(route=each, pattern=named_pattern(each.template)) for each in ordered]

    async def answer(self, req: Request, client: Any) -> Response:
        prefix = PREFIX.match(req.url.path)
        path = f"v1/{req.url.path[prefix.end() :]}" if prefix else ""
        for each in self.patterns:
            found = each.pattern.fullmatch(path)
            if found and req.method in each.route.methods:
                parameters = found.groupdict() | {DEPLOYMENT: prefix["model"] if prefix else None}
                set_path_parameters(req, parameters)
                return await (each.route.handler(req, client) if each.route.needs_client else each.route.handler(req))
        return await self.fallback(req)


def set_path_parameters(request: Request, parameters: dict[str, str | None]) -> None:
    request.path_params.clear()
    request.path_params.update({name: unquote(value) for name, value in parameters.items() if value})


def named_pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))
