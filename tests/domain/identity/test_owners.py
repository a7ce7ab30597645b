from dataclasses import dataclass

import pytest

from domain.content.items import ImageInput
from domain.identity.owners import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A value, the same one with another field that its identity leaves out, and another value."""

    value: object
    same: object
    other: object


OWNERS = Pair(
    value=Owner(tenant="t1", subject="user:a"),
    same=Owner(tenant="t1", subject="user:a", roles=("Agents.Admin",)),
    other=Owner(tenant="t1", subject="user:b"),
)
IMAGES = Pair(
    value=ImageInput(url="https://pictures.example/1"),
    same=ImageInput(url="https://pictures.example/1", path="input[0].content[1]"),
    other=ImageInput(url="https://pictures.example/2"),
)


@pytest.mark.parametrize("pair", [OWNERS, IMAGES], ids=["owners", "images"])
def test_a_field_outside_the_identity_makes_no_difference(pair: Pair) -> None:
    assert pair.value == pair.same
    assert [each for each in [pair.same] if each != pair.value] == []
    assert {pair.value: 1}[pair.same] == 1


@pytest.mark.parametrize("pair", [OWNERS, IMAGES], ids=["owners", "images"])
def test_every_other_field_makes_one(pair: Pair) -> None:
    assert pair.value != pair.other
    assert [each for each in [pair.other] if each == pair.value] == []
    assert pair.value != "a text"
