"""What does a row of failure signatures say, and can a caller bend it?

A model server may quote the prompt in its error. A pattern that decides by such a body must begin at the body's first
character and reach its words through text that no caller writes: literals, digits, spaces and short names.
"""

import re
from collections.abc import Mapping
from copy import replace
from typing import Final

from domain.config.toml_table import TomlTable
from domain.fleet.failure_classes import FailureClass, FailureKind, FailureSignature

HIGHEST_STATUS: Final = 599
CALLER_ERRORS: Final = range(400, 500)
"""The statuses whose bodies may quote the caller's own words."""

BENDABLE: Final = frozenset({FailureClass.COLD, FailureClass.THROTTLED, FailureClass.UNFIT})
"""The classes that a caller could use to idle a backend or to move its turn."""

LEAST_LETTERS: Final = 8
"""A pattern must state this many literal characters outside its groups: fewer could begin any body."""

GROUP_MARK: Final = "\x00"
ATOM: Final = rf"(?:[^\\.^$*+?{{}}\[\]|(){GROUP_MARK}]|\\[^\w\s]|\\[dws]|\[(?:[\w\-./]|\\[dw.])+\])"
SEQUENCE: Final = rf"(?:{ATOM}(?:[*+?]|\{{\d+(?:,\d*)?\}})?|{GROUP_MARK}\??)*"
GROUP: Final = re.compile(rf"\((?:\?:)?{SEQUENCE}(?:\|{SEQUENCE})*\)")
WHOLE: Final = re.compile(rf"(?:\(\?i\))?(?:\^|\\A)(?P<rest>{SEQUENCE})(?:\$|\\Z)?")
QUANTIFIED: Final = re.compile(rf"(?:\\[dws]|\[[^\]]*\]|{GROUP_MARK})(?:[*+?]|\{{\d+(?:,\d*)?\}})?|.[*?]")

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


def is_anchored(pattern: str) -> bool:
    """Tell whether a pattern starts at the body's first character and allows no free text before its words.

    Refused are alternatives outside a group, `.`, negated classes, lookarounds and flags other than `(?i)`.
    """
    found = WHOLE.fullmatch(without_groups(pattern))
    if found is None:
        return False
    literals = QUANTIFIED.sub("", found["rest"]).replace("\\", "")
    return len(literals) >= LEAST_LETTERS


def without_groups(pattern: str) -> str:
    """Replace every well-formed group by a mark, the innermost first."""
    while True:
        shorter = GROUP.sub(GROUP_MARK, pattern)
        if shorter == pattern:
            return pattern
        pattern = shorter


def anchored_form(text: str) -> str:
    """Return a pattern for bodies that begin with a text, as an error message suggests it."""
    words = re.sub(r"^(\(\?[a-z]+\))?\^?(\.\*)?", "", text)
    return "^" + re.sub(r"(?<!\\)([.^$*+?{}\[\]|()])", r"\\\1", words)
