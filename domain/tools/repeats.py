"""Does a call of a tool only repeat what is known, and how often were a turn's calls wrong?"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from domain.content.items import SERVER_CALLS, Item
from domain.tools.arguments import parsed_arguments
from domain.tools.outcomes import INVALID_PARAMS, REPEATED

TWICE: Final = 2


def is_known_by_now(item: Item, items: Iterable[Item]) -> bool:
    """Tell whether the last two equal calls of earlier rounds had the same result.

    Calls of the same round do not count: they run at the same time, so a repeated step would decide otherwise.
    """
    results = [(each.output, each.error, each.images) for each in equal_calls(item, items)][-TWICE:]
    return len(results) == TWICE and results[0] == results[1]


def equal_calls(item: Item, items: Iterable[Item]) -> Iterator[Item]:
    """Yield the calls of earlier rounds with the same tool and arguments that were run."""
    wanted = identity(item)
    earlier = (each for each in items if each.kind in SERVER_CALLS and each.round < item.round)
    yield from (each for each in earlier if identity(each) == wanted and not is_refused(each))


def identity(item: Item) -> tuple[str, str, str]:
    arguments = parsed_arguments(item.text)
    text = item.text if isinstance(arguments, str) else json.dumps(arguments, sort_keys=True)
    return item.server, item.name, text


def is_refused(item: Item) -> bool:
    return bool(item.error and item.error.get("content") == REPEATED)


def rounds_with_invalid_calls(items: Sequence[Item]) -> int:
    """Count the rounds in which a call's arguments did not match the tool's schema."""
    return len({item.round for item in items if item.error and item.error.get("code") == INVALID_PARAMS})
