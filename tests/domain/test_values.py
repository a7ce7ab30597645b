from typing import ClassVar

from domain.values import Discreet


class Key(Discreet, frozen=True, kw_only=True):
    concealed: ClassVar = ("secret",)

    name: str
    secret: str


def test_it_shows_its_fields_except_the_concealed_ones() -> None:
    assert repr([Key(name="a", secret="s3cret")]) == "[Key(name='a')]"
    assert "s3cret" not in f"{Key(name='a', secret='s3cret')}"


def test_it_compares_with_the_concealed_ones() -> None:
    assert Key(name="a", secret="1") != Key(name="a", secret="2")
