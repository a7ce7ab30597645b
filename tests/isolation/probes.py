"""What may somebody try with another's ids? Made from the table of routes, so that no endpoint is forgotten."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import httpx

from api.openapi import OPERATIONS, PARAMETER
from api.routes import CATCH_ALL, HttpRoute, routes
from clients.clock import SystemClock
from tests.api.harness import api

type Json = dict[str, Any]
type Ids = Mapping[str, str]

TOKEN = re.compile(r"[0-9a-f]{24,}")
NOBODYS = frozenset({"model"})
"""Parameters of paths that name nothing of an owner's."""

REFUSED = frozenset({400, 404})
SAID: Json = {"type": "message", "role": "user", "content": "hello"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One request that names something of another's; `of` tells which id stands where."""

    route: str
    method: str
    path: str
    body: Json | None = None
    of: str = ""

    def twin(self, theirs: Ids) -> "Probe":
        """Return the same request with ids that nobody has in the place of theirs."""
        clock = SystemClock()
        tokens = TOKEN.findall(" ".join(theirs.values()))
        twins = {token: (clock.token() + clock.token())[: len(token)] for token in tokens}
        return replace(self, path=swapped(self.path, twins), body=swapped(self.body, twins))

    async def ask(self, http: httpx.AsyncClient, token: str) -> tuple[int, Any]:
        """Return the status and the body, without the ids that they repeat."""
        headers = {"authorization": f"Bearer {token}"}
        return self.shown(await http.request(self.method, self.path, json=self.body, headers=headers))

    def shown(self, answer: httpx.Response) -> tuple[int, Any]:
        return answer.status_code, swapped(answer.json(), None)


def swapped[T](value: T, twins: Mapping[str, str] | None) -> T:
    """Return a value with other tokens in its texts; without twins, with none."""
    made: Any = value
    if isinstance(made, str):
        return TOKEN.sub(lambda found: twins.get(found[0], found[0]) if twins is not None else "…", made)  # pyright: ignore[reportReturnType] - a text stays a text
    if isinstance(made, dict):
        return {name: swapped(each, twins) for name, each in made.items()}  # pyright: ignore[reportReturnType, reportUnknownVariableType, reportUnknownArgumentType] - JSON stays JSON
    if isinstance(made, list):
        return [swapped(each, twins) for each in made]  # pyright: ignore[reportReturnType, reportUnknownVariableType, reportUnknownArgumentType] - as above
    return made


def reference(identifier: str) -> list[Json]:
    return [{"type": "item_reference", "id": identifier}]


def changing(_identifier: str) -> Sequence[Json]:
    return ({"metadata": {"taken": "over"}},)


def nothing(_identifier: str) -> Sequence[Json]:
    return ()


def going_on(identifier: str) -> Sequence[Json]:
    before: Json = {"model": "auto", "input": "hello", "previous_response_id": identifier}
    return (before, {"model": "auto", "input": reference(identifier)})


def within(identifier: str) -> Sequence[Json]:
    return (*going_on(identifier), {"model": "auto", "input": "hello", "conversation": identifier})


BODIES: Mapping[str, Callable[[str], Sequence[Json]]] = {
    "http_responses_create": within,
    "http_responses_cancel": lambda _: ({},),
    "http_responses_compact": going_on,
    "http_responses_count": within,
    "http_conversations_create": lambda identifier: ({"items": reference(identifier)},),
    "http_conversations_update": changing,
    "http_items_create": lambda identifier: ({"items": [SAID]}, {"items": reference(identifier)}),
    "http_chat_create": nothing,
    "http_chat_update": changing,
}
"""The bodies that each function takes: with an id of another's wherever one may stand."""


def served() -> Sequence[HttpRoute]:
    return [route for route in routes(api().world.app.http) if route.template != CATCH_ALL]


def probes(theirs: Ids, own: Ids) -> Iterator[Probe]:
    """Give every request that names something of theirs, by any function, wherever an id may stand."""
    for route in served():
        for method in route.methods:
            yield from by_path(route, method, theirs, own)
            yield from by_body(route, method, theirs, own)
            if "after" in OPERATIONS[route.name].query:
                yield from by_cursor(route, method, theirs, own)


def parameters(route: HttpRoute) -> list[str]:
    return [name for name in PARAMETER.findall(route.template) if name not in NOBODYS]


def by_path(route: HttpRoute, method: str, theirs: Ids, own: Ids) -> Iterator[Probe]:
    """Name theirs in the path: in all places at once, and in each beside what is one's own."""
    names = parameters(route)
    for identifier, place in product(theirs, range(len(names))):
        for others in {tuple(theirs[name] for name in names), tuple(own[name] for name in names)}:
            given = [*others[:place], theirs[identifier], *others[place + 1 :]]
            for body in bodies(route, method, theirs[identifier]):
                yield probe(route, method, given, body, f"{names[place]}={identifier}")


def by_body(route: HttpRoute, method: str, theirs: Ids, own: Ids) -> Iterator[Probe]:
    """Name theirs in the body alone."""
    mine = [own[name] for name in parameters(route)]
    for name, identifier in theirs.items():
        for body in bodies(route, method, identifier):
            if body and identifier in str(body):
                yield probe(route, method, mine, body, f"body={name}")


def by_cursor(route: HttpRoute, method: str, theirs: Ids, own: Ids) -> Iterator[Probe]:
    mine = [own[name] for name in parameters(route)]
    for name, identifier in theirs.items():
        made = probe(route, method, mine, None, f"after={name}")
        yield replace(made, path=f"{made.path}?after={identifier}")


def bodies(route: HttpRoute, method: str, identifier: str) -> Sequence[Json | None]:
    return BODIES[route.name](identifier) if method == "POST" else (None,)


def probe(route: HttpRoute, method: str, given: Sequence[str], body: Json | None, of: str) -> Probe:
    values = iter(given)
    path = PARAMETER.sub(lambda _: next(values), f"/{route.template}")
    return Probe(route=route.name, method=method, path=path, body=body, of=of)
