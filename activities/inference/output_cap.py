"""Has an answer reached the output that its attempt reserved, and how does it go on?"""

from dataclasses import replace

from activities.inference.answer_writer import AnswerWriter
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.task import AttemptTask
from clients.backends.port import AnswerEnd
from domain.log.capped_answers import CappedAnswer, CutAnswer
from domain.log.events import TokenUsage
from domain.tokens.estimates import BYTES_PER_TOKEN

OUTPUT_LIMIT = "max_output_tokens"
"""Why an answer that reached its limit is incomplete."""

REACHED_SHARE = 0.5
"""An answer that was cut with less than this share of its cap was cut for another reason, like the backend's own limit.
Counts differ between us and a backend, but never by so much."""


def capped_answer(
    task: AttemptTask, answer: AnswerWriter, meter: AttemptMeter, end: AnswerEnd, *, limit: int
) -> CappedAnswer | None:
    """Return how an answer goes on that the call's `limit` has cut; None where it ends here.

    The caller's own limit is never passed.
    """
    if end.reason != "length" or not task.is_open_ended or tokens_of_run(meter, end) < REACHED_SHARE * limit:
        return None
    return CutAnswer(
        backend=task.backend.name,
        reserved=task.output_tokens,
        shown=answer.shown_tokens(end.usage),
        has_text=answer.has_text,
        is_calling=end.is_calling,
        is_json=answer.schema_tools is not None or task.is_json,
        continues=task.continues_text,
    ).next()


def learned_usage(task: AttemptTask, usage: TokenUsage, code: str) -> TokenUsage:
    """Return what is learned from an answer: one that our own cap cut counts twice, so that the next are cut less."""
    is_cut = code == OUTPUT_LIMIT and task.is_open_ended
    return replace(usage, output_tokens=2 * usage.output_tokens) if is_cut else usage


def tokens_of_run(meter: AttemptMeter, end: AnswerEnd) -> int:
    """Return how many tokens the run has written: the backend's count, else an estimate from its text."""
    return end.usage.output_tokens if end.usage else max(meter.pieces, meter.characters // BYTES_PER_TOKEN)
