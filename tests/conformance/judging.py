"""What is written of a kit's findings, and which of them can't be left?"""

from collections.abc import Mapping, Sequence

from tests.conformance.page import Verdict, grid, section, unexplained, write_section
from tests.conformance.programs import Finding


def judge(title: str, findings: Sequence[Finding], reasons: Mapping[str, str]) -> None:
    """Write what was found; raises AssertionError with the problems that no reason explains."""
    failed = {finding.name: finding.problem for finding in findings if finding.problem}
    verdict = Verdict(judge=title, total=len(findings), failed=list(failed))
    cells = {(finding.kit, finding.check): "no" if finding.problem else "yes" for finding in findings}
    write_section(section(verdict, reasons) + "\n" + grid("kit", cells))
    problems = [f"{name}\n{failed[name]}" for name in unexplained(verdict, reasons)]
    assert problems == [], "\n".join(problems)
