"""Does the OpenAPI document name all that is served, and nothing else?"""

from typing import Any

from api.openapi import OPERATIONS
from api.routes import CATCH_ALL, routes
from tests.api.harness import api


async def shown() -> dict[str, Any]:
    answer = await api().http.get("/openapi.json", headers={"authorization": ""})
    assert answer.status_code == 200
    return answer.json()


async def test_every_route_is_described_and_no_other() -> None:
    served = {route.name: route for route in routes(api().ports()) if route.template != CATCH_ALL}
    paths = (await shown())["paths"]
    named = {operation["operationId"] for path in paths.values() for operation in path.values()}
    assert {name.removesuffix("_get") for name in named} >= {
        route.name for route in served.values() if len(route.methods) == 1
    }
    assert set(paths) == {f"/{route.template}" for route in served.values()}
    assert set(OPERATIONS) == set(served)


async def test_every_reference_is_there_and_every_parameter_of_a_path_is_named() -> None:
    document = await shown()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for answer in operation["responses"].values():
                name = answer["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert name in document["components"]["schemas"]
            names = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in names)
