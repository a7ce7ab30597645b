"""Does every request reach its HTTP function, also on the host?"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure_functions_runtime.bindings.meta import load_binding_registry
from azure_functions_runtime.functions import Registry
from hypothesis import given
from hypothesis import strategies as st

from api.endpoints.fallback import path_pattern
from api.http.errors import Handler
from api.routes import HttpRoute, routes
from tests.api.harness import Api, RunningOrchestrations, api
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import World

UNKNOWN = [
    ("POST", "/", 404, None),
    ("GET", "/v1", 404, None),
    ("POST", "/v1/responses/", 405, None),
    ("GET", "/v1/responses", 405, "POST"),
    ("PUT", "/v1/responses/resp_1", 405, "DELETE, GET, HEAD"),
    ("GET", "/v1/responses/resp_1/cancel", 405, "POST"),
    ("POST", "/v1/responses/resp_1/route", 405, "GET"),
    ("POST", "/v1/models", 405, "GET"),
    ("PUT", "/v1/models/model", 405, "DELETE, GET"),
    ("DELETE", "/healthz", 405, "GET, HEAD"),
    ("OPTIONS", "/v1/responses", 405, "POST"),
    ("GET", "/v1/responses/resp_1/other", 404, None),
    ("GET", "/.env", 404, None),
    ("POST", "/v1/embeddings", 404, None),
]


@pytest.mark.parametrize(("method", "path", "status", "allow"), UNKNOWN)
async def test_an_unknown_request_gets_404_or_405(method: str, path: str, status: int, allow: str | None) -> None:
    answer = await api().http.request(method, path, follow_redirects=True)
    assert answer.status_code == status
    assert answer.headers["x-request-id"]
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    if allow:
        assert answer.headers["allow"] == allow


@given(st.text(st.characters(exclude_characters="/"), min_size=1))
def test_a_parameter_is_one_segment(value: str) -> None:
    pattern = path_pattern("v1/responses/{response_id}/route")
    assert pattern.fullmatch(f"/v1/responses/{value}/route")
    assert not pattern.fullmatch(f"/v1/responses/{value}/x/route")


async def test_the_models_are_those_of_the_fleet() -> None:
    one = api()
    listed = (await one.http.get("/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["auto", "model", "model@main"]
    for model in listed["data"]:
        assert (await one.http.get(f"/v1/models/{model['id']}")).json() == model
    missing = await one.http.get("/v1/models/gpt-9")
    assert (missing.status_code, missing.json()["error"]["message"]) == (404, "The model 'gpt-9' does not exist.")


async def test_a_model_is_not_deleted_and_the_answer_says_so() -> None:
    one = api()
    kept = await one.http.delete("/v1/models/model@main")
    assert (kept.status_code, kept.json()) == (200, {"id": "model@main", "object": "model", "deleted": False})
    assert (await one.http.delete("/v1/models/gpt-9")).status_code == 404
    assert (await one.http.delete("/v1/models/model", headers={"authorization": ""})).status_code == 401
    assert (await one.http.get("/v1/models/model")).status_code == 200


async def test_every_listed_model_can_be_chosen() -> None:
    one = api()
    for name in ("auto", "model", "model@main"):
        body = (await one.create({"input": "hi", "model": name})).json()
        assert (body["status"], body["model"]) == ("completed", name)


async def test_a_ready_instance_reports_it_without_a_token() -> None:
    one = api()
    one.http.headers.pop("authorization")
    assert (await one.http.get("/healthz")).json() == {"status": "ok"}
    ready = await one.http.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert (ready.json()["backends"], ready.json()["release"]) == (["main"], "source")


def test_a_monitor_may_send_head_and_so_may_a_cache() -> None:
    accepted = {route.template for route in routes(api().world.app.http) if route.methods == ("GET", "HEAD")}
    assert accepted == {"console", "healthz", "readyz", "v1/responses/{response_id}"}


async def test_an_instance_without_its_store_is_alive_but_not_ready() -> None:
    one = api()
    broken = FlakyStore(one.world.store, one.world.clock.random, Faults(at={0: Fault.UNAVAILABLE}))
    one = api(store=broken)
    assert (await one.http.get("/healthz")).status_code == 200
    ready = await one.http.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]) == (503, {"store": "does not answer", "fleet": "ok"})


async def test_an_instance_without_a_backend_is_not_ready() -> None:
    clock, orchestrations = FakeClock(), RunningOrchestrations()
    world = World(store=MemoryStore(clock), clock=clock, backends={})
    one = Api(world=world, orchestrations=orchestrations)
    ready = await one.http.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]["fleet"]) == (503, "has no backend")


def registered() -> Iterator[tuple[HttpRoute, Any]]:
    """Register every route as the application does; give what the host's worker would load."""
    for route in routes(api().world.app.http):
        app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
        handler: Handler = route.handler
        if route.needs_client:
            handler = app.durable_client_input(client_name="client")(handler)
        app.function_name(route.name)(app.route(route.template, methods=list(route.methods))(handler))
        yield route, app.get_functions()[0]


DIRECTIONS = SimpleNamespace(BindingInfo=SimpleNamespace(undefined=0, out=1, inout=2))
"""The constants of the worker's protocol library that it reads when it loads a function."""


def test_the_hosts_worker_loads_every_function() -> None:
    load_binding_registry()
    registry: Any = Registry()
    names = [route.name for route, _ in registered()]
    assert [registry.add_indexed_function(one, DIRECTIONS).name for _, one in registered()] == names
    assert len(set(names)) == len(names)
    assert max(names) == "zz_unknown"
