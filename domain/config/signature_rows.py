"""What does a row of failure signatures say, and can a caller bend it?"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from domain.config.toml_table import TomlTable
from domain.fleet.anchoring import anchored_form, is_anchored
from domain.fleet.failure_classes import FailureClass, FailureKind, FailureSignature

HIGHEST_STATUS: Final = 599
CALLER_ERRORS: Final = range(400, 500)
"""The statuses whose bodies may quote the caller's own words."""

BENDABLE: Final = frozenset({FailureClass.COLD, FailureClass.THROTTLED, FailureClass.UNFIT})
"""The classes that a caller could use to idle a backend or to move its turn."""

FORMER_BODIES: Final[Mapping[str, str]] = {
    "Rate exceeded": r"^Rate exceeded\.",
    "not yet ready for inference": (
        r'^(\{\s*"error":\s*\{\s*"code":\s*429,\s*"message":\s*")?Model is not yet ready for inference'
    ),
}
"""The bodies of rows that the fleet file shipped before rows had to be anchored, and their anchored forms."""


def read_signature(table: TomlTable) -> FailureSignature:
    row = anchored(read_row(table))
    if not (row.statuses or row.kinds):
        table.problems.append(f"{table.path}: expected statuses or kinds, found neither")
    if any(status > HIGHEST_STATUS for status in row.statuses):
        table.report("statuses", "HTTP statuses")
    if is_pattern(row.body_pattern, table) and reads_quoted_words(row):
        check_anchor(row, table)
    table.close()
    return row


def anchored(row: FailureSignature) -> FailureSignature:
    """Return the row, with the anchored form of a body that an earlier release shipped."""
    pattern = FORMER_BODIES.get(row.body or "")
    if pattern is None or row.body_pattern is not None:
        return row
    return replace(row, body=None, body_pattern=pattern)


def read_row(table: TomlTable) -> FailureSignature:
    return FailureSignature(
        failure_class=table.choice(table.key_of("failure_class", "posture"), FailureClass),
        statuses=table.wholes("statuses"),
        kinds=table.choices("kinds", FailureKind),
        body=table.optional("body", table.text),
        body_pattern=table.optional("body_pattern", table.text),
        headers=table.texts("headers"),
        delay_s=table.optional("delay_s", table.number),
        note=table.text("note"),
    )


def is_pattern(pattern: str | None, table: TomlTable) -> bool:
    try:
        re.compile(pattern or "")
    except re.error:
        table.report("body_pattern", "a regular expression")
        return False
    return True


def reads_quoted_words(row: FailureSignature) -> bool:
    """Tell whether the row classifies by the body of an answer that may quote the caller."""
    statuses = any(status in CALLER_ERRORS for status in row.statuses)
    every_status = not row.statuses and FailureKind.STATUS in row.kinds
    return row.failure_class in BENDABLE and (statuses or every_status)


def check_anchor(row: FailureSignature, table: TomlTable) -> None:
    if row.body is not None:
        suggestion = anchored_form(row.body)
        table.report("body", f"body_pattern instead, anchored at the body's start, like {suggestion!r}")
    if row.body_pattern is not None and not is_anchored(row.body_pattern):
        suggestion = anchored_form(row.body_pattern)
        table.report(
            "body_pattern", f"a pattern anchored at the body's start that allows no free text, like {suggestion!r}"
        )
