"""What did the judges find? Written to docs/conformance.md by the run itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.conformance.judges import ROOT

PAGE: Final = ROOT / "docs" / "conformance.md"
BEGINNING: Final = """# Conformance

`make conform` writes this page. It runs each conformance suite against a whole product, with the scripted model unless
the section names another one (`tests/conformance`). The suites run as their authors publish them; objects are created
in advance for the ids that they hard-code. The SDKs and kits run unmodified, in the versions that
`tests/conformance/kits` locks. Everything is installed into `.run`; Chromium comes from Debian's packages if it is
missing and may be installed. The WebSocket mode of Open Responses is not served: no HTTP trigger of Azure Functions
accepts an upgrade to WebSocket. Its schema (2026-04-24) has five kinds of items in a response: messages, calls of
functions, their outputs, reasoning and compactions. It has neither `mcp_list_tools`, `mcp_call`,
`mcp_approval_request`, `mcp_approval_response` and `file_search_call` nor their events: these are OpenAI's own, and its
SDKs are their judges.
"""
NO_REASON: Final = "not explained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judge's findings: `failed` and `skipped` name tests."""

    judge: str
    total: int
    failed: Sequence[str] = ()
    skipped: Sequence[str] = ()

    @property
    def passed(self) -> int:
        return self.total - len(self.failed) - len(self.skipped)


def section(verdict: Verdict, reasons: Mapping[str, str]) -> str:
    """Return a judge's part of the page; `reasons` explains tests by the beginning of their names."""
    lines = [f"## {verdict.judge}", "", f"{verdict.passed} of {verdict.total} pass."]
    rows = [f"| `{name}` | {reason_for(name, reasons)} |" for name in (*verdict.failed, *verdict.skipped)]
    table = ["", "| does not pass | why |", "|---|---|", *grouped(rows)] if rows else []
    return "\n".join([*lines, *table, ""])


def grouped(rows: Sequence[str]) -> Sequence[str]:
    return sorted(dict.fromkeys(rows))


def reason_for(name: str, reasons: Mapping[str, str]) -> str:
    return next((reason for beginning, reason in reasons.items() if beginning in name), NO_REASON)


def unexplained(verdict: Verdict, reasons: Mapping[str, str]) -> Sequence[str]:
    return [name for name in verdict.failed if reason_for(name, reasons) == NO_REASON]


def write_section(text: str) -> None:
    """Put a section in place of the one with the same heading, or behind the others."""
    old = PAGE.read_text(encoding="utf-8") if PAGE.exists() else BEGINNING
    parts = old.split("\n## ")[1:]
    sections = {part.partition("\n")[0]: part for part in parts}
    fresh = text.removeprefix("## ")
    sections[fresh.partition("\n")[0]] = fresh
    joined = "\n## ".join([BEGINNING, *(sections[name].rstrip("\n") + "\n" for name in sorted(sections))])
    PAGE.write_text(joined, encoding="utf-8")


def grid(corner: str, cells: Mapping[tuple[str, str], str]) -> str:
    """Return a table of cells by row and column, in the order in which they first stand."""
    rows, columns = list(dict.fromkeys(row for row, _ in cells)), list(dict.fromkeys(column for _, column in cells))
    head = [f"| {corner} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    body = [f"| {row} | {' | '.join(cells.get((row, column), '·') for column in columns)} |" for row in rows]
    return "\n".join([*head, *body, ""])
