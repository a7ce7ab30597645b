"""Tests what the stand-ins answer to a body or a name that they cannot use."""

import httpx
import pytest

from standins.issuer.conditions import Conditions, changed
from standins.json_values import body_object
from standins.tools.server import Shop
from tests.checks import every
from tests.fakes.servers.web_servers import served
from tests.standins.systems.serving import served_systems


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", r"^the body is not JSON: Expecting value"),
        (b"\xff", r"^the body is not JSON: "),
        (b"[]", r"^the body is not a JSON object$"),
    ],
)
def test_a_body_that_is_no_object_is_explained(raw: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        body_object(raw)


def test_an_unknown_condition_of_the_issuer_is_named() -> None:
    with pytest.raises(ValueError, match=r"^unknown condition colour; choose one of faults, "):
        changed(Conditions(), {"colour": "red"})


async def test_the_shop_rejects_a_body_that_is_no_object() -> None:
    shop = Shop()
    async with served(shop.application()) as origin, httpx.AsyncClient() as http:
        answer = await http.post(f"{origin}/v1/refunds", content="[]")
    assert (answer.status_code, answer.json()) == (400, {"error": "the body is not a JSON object"})
    assert not shop.effects


async def test_a_system_that_does_not_exist_is_named() -> None:
    async with served_systems() as systems, httpx.AsyncClient() as http:
        answers = [
            await http.post(f"{systems.origin}/systems/nothing/v1/chat/completions", json={}),
            await http.post(f"{systems.origin}/admin/systems/nothing/sleep"),
        ]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert every(answer.json()["message"].startswith("unknown system nothing; choose one of ") for answer in answers)
