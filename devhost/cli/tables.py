"""How are instances and histories formatted for people?"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

MAX_CELL_WIDTH = 60
COLOURS = {"Completed": 32, "Failed": 31, "Terminated": 33, "Suspended": 33, "Running": 36, "Pending": 36}
COLUMNS = ("instanceId", "name", "runtimeStatus", "createdTime", "lastUpdatedTime", "customStatus")
VALUE_KEYS = ("Result", "Input", "Reason", "FireAt", "Data")


def text_of(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_CELL_WIDTH else f"{line[: MAX_CELL_WIDTH - 1]}…"


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, colour: bool) -> str:
    """Each column is as wide as its widest cell."""
    lines = [list(titles), *([shorten(cell) for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(titles))]
    return "\n".join(
        "  ".join(coloured(cell, width, colour=colour) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def coloured(cell: str, width: int, *, colour: bool) -> str:
    code = COLOURS.get(cell) if colour else None
    padded = cell.ljust(width)
    return padded if code is None else f"\x1b[{code}m{padded}\x1b[0m"


def instances_table(found: list[dict[str, Any]], *, colour: bool) -> str:
    rows = [[text_of(one.get(column)) for column in COLUMNS] for one in found]
    return table(["INSTANCE", "NAME", "STATUS", "CREATED", "UPDATED", "CUSTOM STATUS"], rows, colour=colour)


def instance_text(found: dict[str, Any], *, colour: bool) -> str:
    """One line for each field; long values are not shortened."""
    parts = {name: text_of(value) for name, value in found.items() if name != "historyEvents"}
    width = max(len(name) for name in parts)
    return "\n".join(f"{name.ljust(width)}  {coloured(text, 0, colour=colour)}" for name, text in parts.items())


def history_table(events: list[dict[str, Any]], *, colour: bool) -> str:
    rows = [
        [
            text_of(event.get("Timestamp")),
            text_of(event.get("EventType")),
            text_of(event.get("FunctionName") or event.get("Name")),
            next((text_of(event[key]) for key in VALUE_KEYS if event.get(key) is not None), ""),
        ]
        for event in events
    ]
    return table(["TIME", "EVENT", "NAME", "VALUE"], rows, colour=colour)
