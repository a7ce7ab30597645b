"""How is a local Cosmos DB restored to a time? `python -m standins.cosmos.restore --data DIR --at TIME --into DIR`.

Like Azure's continuous backup, it makes another account: with every change of the first one until that time. The first
account stays as it is.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standins.cosmos.account import account_in


class RestoreError(Exception):
    """Nothing can be restored; the message says why."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.cosmos.restore", description="restore a local Cosmos DB")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the account's data, as of `make run`")
    parser.add_argument("--at", type=datetime.fromisoformat, required=True, help="such as 2026-11-29T10:00:00Z")
    parser.add_argument("--into", type=Path, required=True, help="the folder of the new account")
    options = parser.parse_args()
    try:
        count = restore(options.data, options.into, at=utc(options.at).timestamp())
    except RestoreError as problem:
        sys.exit(f"restore: {problem}")
    sys.stdout.write(
        f"restored {count} changes into {options.into}; STORE=cosmos DATA={options.into} make run uses it\n"
    )


def utc(at: datetime) -> datetime:
    """Return a time in its own zone, or in UTC where it names none."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def restore(data: Path, into: Path, *, at: float) -> int:
    """Give a new account the changes until a time (seconds since the epoch); returns their number."""
    journal = data / "cosmos" / "journal.jsonl"
    if not journal.is_file():
        raise RestoreError(f"{data} has no local Cosmos DB: {journal} does not exist")
    target = account_in(into).journal
    if target.exists():
        raise RestoreError(f"{into} has an account already; choose a new folder")
    kept = list(changes_until(journal.read_text(encoding="utf-8").splitlines(), at))
    target.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    return len(kept)


def changes_until(lines: Iterable[str], at: float) -> Iterator[str]:
    """Yield the changes in their order; a change without a time is from a release that noted none, so it is older."""
    for line in lines:
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        if entry.get("at", 0.0) <= at:
            yield line


if __name__ == "__main__":
    main()
