"""How are lists of objects shown as a table?"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return a table with a line for each row; names of columns are paths in the row, `start.p99_s`."""
    texts = [list(columns), *([shown(column, value_at(row, column)) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in texts) for number in range(len(columns))]
    none = "" if rows else "(none)\n"
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in texts]
    return "\n".join(lines) + "\n" + none


def value_at(row: Mapping[str, Any], path: str) -> Any:
    found: Any = row
    for part in path.split("."):
        found = cast("Mapping[str, Any]", found).get(part) if isinstance(found, Mapping) else None
    return found


def shown(column: str, value: Any) -> str:
    """Return a value as text without control characters: names and reasons come from outside."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column.endswith("_at") or column in ("at", "since", "until"):
        return moment(float(value))
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return "".join(sign if sign.isprintable() else " " for sign in text)


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
