"""Which checks does a kit pass? One line of JSON for each."""

import asyncio
import json
import os
import traceback
from collections.abc import Awaitable, Callable, Mapping

MODEL = os.environ["MODEL"]
EXACT = MODEL != "auto"
WANTED = os.environ.get("CHECKS")

SHOP = {"type": "mcp", "server_label": "shop", "require_approval": "never"}
SHOPPING = (
    'PLAN [[["shop__find_order", {"number": "A-1001"}], ["shop__refund_order", {"number": "A-1001", "amount": 5}]]] '
    "THEN refunded"
)
"""A prompt that makes the scripted model call two tools that the server runs."""

NOTING = 'PLAN [[["shop__send_note", {"number": "A-1001", "text": "hello"}]]] THEN noted'
"""A prompt that makes the scripted model ask for a call that needs an approval."""

LOST = 'PLAN [[["shop__find_order", {"number": "Z-9"}]]] THEN sorry'
"""A prompt whose call fails: there is no such order."""

SEARCH = {"type": "file_search", "vector_store_ids": ["documents"]}
SEARCHING = 'PLAN [[["file_search__search", {"query": "warranty of the telescope"}]]] THEN 36 months'
"""A prompt that makes the scripted model search the caller's own documents."""

type Check = Callable[[], Awaitable[None]]


def counted(number: int) -> str:
    return " ".join(map(str, range(1, number + 1)))


def says(text: object, expected: str) -> None:
    """Compare what was said; what a real model says is its own affair, as long as it says something."""
    assert text == expected if EXACT else text, text


def holds(value: Mapping[str, object], expected: Mapping[str, object]) -> None:
    assert value == expected if EXACT else value.keys() == expected.keys(), value


async def problem_of(check: Check) -> str | None:
    try:
        await check()
    except Exception:  # noqa: BLE001 - the one place where a check's end is told
        return traceback.format_exc()
    return None


async def told(kits: Mapping[str, Mapping[str, Check]]) -> None:
    for kit, checks in kits.items():
        for name, check in checks.items():
            if WANTED is None or name in WANTED.split(","):
                line = {"kit": kit, "check": name, "problem": await problem_of(check)}
                print(json.dumps(line), flush=True)  # noqa: T201 - the line is what the program is for


def tell(kits: Mapping[str, Mapping[str, Check]]) -> None:
    asyncio.run(told(kits))
