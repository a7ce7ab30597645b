"""Is an answer that has ended usable, and is a better model asked where it is not?

A refusal is an answer, and what the caller's own limit or a content filter cut is not asked again.
"""

from copy import replace
from typing import Final

from activities.inference.answer_writer import AnswerWriter, open_text
from activities.inference.output_cap import OUTPUT_LIMIT
from activities.inference.task import AttemptTask
from domain import wire
from domain.content.schema_tool_calls import ParsedAnswer
from domain.log.escalations import Escalation
from domain.log.events import AttemptOutcome

SCHEMA_MISMATCH: Final = "The model's answer does not match the JSON schema of its function calls and answers."
FORMAT_MISMATCH: Final = "The model's answer does not have the requested output format: {}."
EMPTY: Final = "The model's answer is empty."
CUT: Final = "The model's answer reached the output that was reserved for it, and the backend can't continue it."


def problem_of(answer: AnswerWriter, parsed: ParsedAnswer | None) -> str:
    """Return why a complete answer is unusable; empty where it is usable."""
    if parsed is None:
        return SCHEMA_MISMATCH
    problem = answer.format_problem(parsed)
    return FORMAT_MISMATCH.format(problem) if problem else ""


def escalated(
    outcome: AttemptOutcome, task: AttemptTask, answer: AnswerWriter, parsed: ParsedAnswer | None
) -> AttemptOutcome | None:
    """Return the outcome that asks a better model; None where the answer stays as it is.

    A stream that can't replace its text keeps the answer that it has shown.
    """
    if not task.escalates or (task.response.options.keeps_text and answer.has_text):
        return None
    reason = failed_check(outcome, task, answer, parsed)
    if not reason:
        return None
    kept = Escalation(task.backend.name, reason, outcome.result, outcome.code)
    return replace(outcome, result=wire.FAILOVER, code="", message=reason, escalation=kept)


def failed_check(outcome: AttemptOutcome, task: AttemptTask, answer: AnswerWriter, parsed: ParsedAnswer | None) -> str:
    """Return why an answer is not good enough; empty where it is. The message of a failed one says it already."""
    if outcome.code == OUTPUT_LIMIT:
        return CUT if task.is_open_ended and not answer.is_refusing else ""
    if outcome.code and outcome.result != "failed":
        return ""
    return outcome.message or (EMPTY if is_empty(answer, parsed or ParsedAnswer()) else "")


def is_empty(answer: AnswerWriter, parsed: ParsedAnswer) -> bool:
    """Tell whether a complete answer has neither a text nor a refusal, and calls nothing."""
    if parsed.calls or answer.is_refusing:
        return False
    log, _ = answer.with_rest(parsed)
    return not open_text(log).strip()
