"""Which images of results are kept, and which of them are shown?"""

import pytest

from domain.content.items import Item, ItemKind
from domain.content.result_images import (
    MOST_CHARACTERS,
    MOST_IMAGES,
    MOST_SHOWN,
    NOT_SHOWN,
    as_images,
    taken_images,
    with_shown_images,
)

DOT = "data:image/png;base64,iVBORw0KGgo="
LARGE = f"data:image/jpeg;base64,/9j/{'A' * 400_000}"


TAKEN: dict[str, tuple[list[str], int]] = {
    "one": ([DOT], 1),
    "more than a result may have": ([DOT] * (MOST_IMAGES + 1), MOST_IMAGES),
    "too large": ([f"data:image/jpeg;base64,/9j/{'A' * MOST_CHARACTERS}", DOT], 1),
    "too large together": ([LARGE, LARGE, DOT], 2),
    "a text that is called an image": (["data:image/png;base64,PGh0bWw+", DOT], 1),
    "of another type": ([LARGE.replace("jpeg", "png"), DOT], 1),
    "cut": (["data:image/png;base64,iVBORw0KGgoAA", DOT], 1),
    "a script": (["data:image/svg+xml;base64,AAAA"], 0),
    "no base64": (["data:image/png;base64,AA AA", "data:image/png;base64,"], 0),
    "an address": (["https://evil.example/dot.png"], 0),
}


@pytest.mark.parametrize(("urls", "count"), TAKEN.values(), ids=TAKEN)
def test_only_images_of_a_known_type_are_kept_up_to_the_limits(urls: list[str], count: int) -> None:
    assert len(taken_images(urls)) == count


def test_of_many_images_the_newest_ones_are_shown() -> None:
    items = [Item(id=f"mcp_{n}", kind=ItemKind.MCP_CALL, output=str(n), images=as_images([DOT] * 3)) for n in range(4)]
    shown = with_shown_images(items, sees=True)
    assert [len(item.images) for item in shown] == [0, 0, 3, 3]
    assert sum(len(item.images) for item in shown) <= MOST_SHOWN
    assert [NOT_SHOWN in (item.output or "") for item in shown] == [True, True, False, False]
