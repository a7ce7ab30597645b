"""What do the tables of inference systems say: which failures and finish reasons mean what?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from domain.config.toml_table import TomlTable
from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import FailureClass, FailureKind, FailureSignature

HIGHEST_STATUS: Final = 599


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRules:
    """What the failures and the finish reasons of one system mean."""

    signatures: tuple[FailureSignature, ...] = ()
    finish_reasons: Mapping[str, FinishReason] = field(default_factory=dict[str, FinishReason])


def read_system(table: TomlTable) -> SystemRules:
    rows = tuple(read_signature(row) for row in table.rows("signatures"))
    reasons = table.table("finish_reasons")
    rules = SystemRules(
        signatures=rows, finish_reasons={word: reasons.choice(word, FinishReason) for word in reasons.values}
    )
    table.close()
    return rules


def read_signature(table: TomlTable) -> FailureSignature:
    row = FailureSignature(
        failure_class=table.choice(table.key_of("failure_class", "posture"), FailureClass),
        statuses=table.wholes("statuses"),
        kinds=table.choices("kinds", FailureKind),
        body=table.optional("body", table.text),
        body_pattern=table.optional("body_pattern", table.text),
        headers=table.texts("headers"),
        delay_s=table.optional("delay_s", table.number),
        note=table.text("note"),
    )
    if not (row.statuses or row.kinds):
        table.problems.append(f"{table.path}: expected statuses or kinds, found neither")
    if any(status > HIGHEST_STATUS for status in row.statuses):
        table.report("statuses", "HTTP statuses")
    check_pattern(row.body_pattern, table)
    table.close()
    return row


def check_pattern(pattern: str | None, table: TomlTable) -> None:
    try:
        re.compile(pattern or "")
    except re.error:
        table.report("body_pattern", "a regular expression")
