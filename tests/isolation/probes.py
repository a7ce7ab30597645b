"""Which requests name another owner's objects? Generated from the table of routes, so that none is missing."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx

from api.openapi import PARAMETER
from api.openapi_operations import OPERATIONS
from api.routes import CATCH_ALL, HttpRoute, routes
from clients.clock import SystemClock
from tests.api.harness import api

type Json = dict[str, Any]
type Ids = Mapping[str, str]

TOKEN = re.compile(r"[0-9a-f]{24,}")
UNOWNED = frozenset({"model", "backend", "server_label", "fingerprint", "pipeline", "dead_id"})
"""Path parameters that do not name an owner's objects; tests/api/pipelines looks at those of pipelines."""

REJECTED = frozenset({400, 404})
MESSAGE: Json = {"type": "message", "role": "user", "content": "hello"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request that names another owner's object; `of` says which id is used in which place."""

    route: str
    method: str
    path: str
    body: Json | None = None
    of: str = ""

    def twin(self, theirs: Ids) -> "Probe":
        """Return the same request with unknown ids instead of theirs."""
        clock = SystemClock()
        tokens = TOKEN.findall(" ".join(theirs.values()))
        twins = {token: (clock.token() + clock.token())[: len(token)] for token in tokens}
        return replace(self, path=with_tokens(self.path, twins), body=with_tokens(self.body, twins))

    async def send(self, http: httpx.AsyncClient, token: str) -> tuple[int, Any]:
        """Return the status and the body without ids."""
        headers = {"authorization": f"Bearer {token}"}
        return self.outcome(await http.request(self.method, self.path, json=self.body, headers=headers))

    def outcome(self, answer: httpx.Response) -> tuple[int, Any]:
        return answer.status_code, with_tokens(answer.json() if answer.content else None, None)


def with_tokens[T](value: T, twins: Mapping[str, str] | None) -> T:
    """Return a value with the tokens in its texts replaced by their twins, or removed where there are no twins."""
    result: Any = value
    if isinstance(result, str):
        return TOKEN.sub(lambda found: twins.get(found[0], found[0]) if twins is not None else "…", result)  # pyright: ignore[reportReturnType] - a text stays a text
    if isinstance(result, dict):
        return {name: with_tokens(each, twins) for name, each in result.items()}  # pyright: ignore[reportReturnType, reportUnknownVariableType, reportUnknownArgumentType] - JSON stays JSON
    if isinstance(result, list):
        return [with_tokens(each, twins) for each in result]  # pyright: ignore[reportReturnType, reportUnknownVariableType, reportUnknownArgumentType] - as above
    return result


def reference(identifier: str) -> list[Json]:
    return [{"type": "item_reference", "id": identifier}]


def metadata_change(_identifier: str) -> Sequence[Json]:
    return ({"metadata": {"taken": "over"}},)


def no_bodies(_identifier: str) -> Sequence[Json]:
    return ()


def continuing(identifier: str) -> Sequence[Json]:
    before: Json = {"model": "auto", "input": "hello", "previous_response_id": identifier}
    file: Json = {"model": "auto", "input": [file_part(identifier)]}
    return (before, file, {"model": "auto", "input": reference(identifier)})


def file_part(identifier: str) -> Json:
    return {"role": "user", "content": [{"type": "input_file", "file_id": identifier}]}


def of_chat(identifier: str) -> Sequence[Json]:
    part: Json = {"type": "file", "file": {"file_id": identifier}}
    return ({"model": "auto", "messages": [{"role": "user", "content": [part]}]},)


def in_conversation(identifier: str) -> Sequence[Json]:
    return (*continuing(identifier), {"model": "auto", "input": "hello", "conversation": identifier})


BODIES: Mapping[str, Callable[[str], Sequence[Json]]] = {
    "http_responses_create": in_conversation,
    "http_responses_cancel": lambda _: ({},),
    "http_approvals_decide": lambda identifier: ({"approval_request_id": identifier, "approve": True},),
    "http_responses_compact": continuing,
    "http_responses_count": in_conversation,
    "http_conversations_create": lambda identifier: (
        {"items": reference(identifier)},
        {"items": [file_part(identifier)]},
    ),
    "http_conversations_update": metadata_change,
    "http_items_create": lambda identifier: ({"items": [MESSAGE]}, {"items": reference(identifier)}),
    "http_chat_create": of_chat,
    "http_files_create": no_bodies,
    "http_batches_create": lambda identifier: (
        {"input_file_id": identifier, "endpoint": "/v1/responses", "completion_window": "24h"},
    ),
    "http_batches_cancel": lambda _: ({},),
    "http_events_send": no_bodies,
    "http_pipelines_send_again": no_bodies,
    "http_fleet_warm_up": no_bodies,
    "http_limits_update": no_bodies,
    "http_chat_update": metadata_change,
    "http_tools_accept": no_bodies,
}
"""The bodies for each route, with another owner's id in every place that takes one."""


def served() -> Sequence[HttpRoute]:
    """Return the routes of the API; the console's files are the same for everybody."""
    return [
        each for each in routes(api().world.app.http) if not each.template.endswith(CATCH_ALL) and not is_page(each)
    ]


def is_page(route: HttpRoute) -> bool:
    return route.template.split("/")[0] == "console"


def probes(theirs: Ids, own: Ids) -> Iterator[Probe]:
    """Yield every request that names one of their objects, for every route and every place of an id."""
    for route in served():
        for method in route.methods:
            yield from by_path(route, method, theirs, own)
            yield from by_body(route, method, theirs, own)
            if "after" in OPERATIONS[route.name].query and UNOWNED.isdisjoint(PARAMETER.findall(route.template)):
                yield from by_cursor(route, method, theirs, own)


def parameters(route: HttpRoute) -> list[str]:
    return [name for name in PARAMETER.findall(route.template) if name not in UNOWNED]


def by_path(route: HttpRoute, method: str, theirs: Ids, own: Ids) -> Iterator[Probe]:
    """Name theirs in the path: in all places at once, and in one place with own ids in the others."""
    names = parameters(route)
    for identifier, place in product(theirs, range(len(names))):
        for others in {tuple(theirs[name] for name in names), tuple(own[name] for name in names)}:
            values = [*others[:place], theirs[identifier], *others[place + 1 :]]
            for body in bodies(route, method, theirs[identifier]):
                yield probe(route, method, values, body, f"{names[place]}={identifier}")


def by_body(route: HttpRoute, method: str, theirs: Ids, own: Ids) -> Iterator[Probe]:
    """Name theirs only in the body."""
    own_ids = [own[name] for name in parameters(route)]
    for name, identifier in theirs.items():
        for body in bodies(route, method, identifier):
            if body and identifier in str(body):
                yield probe(route, method, own_ids, body, f"body={name}")


def by_cursor(route: HttpRoute, method: str, theirs: Ids, own: Ids) -> Iterator[Probe]:
    own_ids = [own[name] for name in parameters(route)]
    for name, identifier in theirs.items():
        result = probe(route, method, own_ids, None, f"after={name}")
        yield replace(result, path=f"{result.path}?after={identifier}")


def bodies(route: HttpRoute, method: str, identifier: str) -> Sequence[Json | None]:
    return BODIES[route.name](identifier) if method == "POST" else (None,)


def probe(route: HttpRoute, method: str, values: Sequence[str], body: Json | None, of: str) -> Probe:
    remaining = iter(values)
    path = PARAMETER.sub(lambda _: next(remaining), f"/{route.template}")
    return Probe(route=route.name, method=method, path=path, body=body, of=of)
