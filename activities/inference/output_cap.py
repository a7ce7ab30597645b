"""How much output does an attempt reserve, and how does an answer go on that has reached that?"""

from collections.abc import Iterator
from copy import replace

from activities.inference.answer_writer import AnswerWriter
from activities.inference.attempt_meter import AttemptMeter
from activities.inference.task import AttemptTask
from clients.backends.port import AnswerEnd
from domain.fleet.learned_speed import LearnedSpeed
from domain.log.capped_answers import CappedAnswer, CutAnswer
from domain.log.events import TokenUsage
from domain.money.costing import BackendWork, attempt_cost, worst_token_cost
from domain.money.prices import TokenPrice
from domain.routing.estimates import LEAST_WORST_S, SLOW
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


def smaller_reservations(task: AttemptTask, *, least: int, speed: LearnedSpeed) -> Iterator[AttemptTask]:
    """Yield the task with half of its output, a quarter, and so on down to `least` tokens.

    The caller set no limit, so that the answer goes on after each of them.
    """
    tokens, decode_tokens_s = task.output_tokens, speed.decode_at(task.backend.limits.concurrency)
    while task.is_open_ended and tokens > least:
        tokens = max(tokens // 2, least)
        yield with_output(task, tokens, decode_tokens_s=decode_tokens_s)


def with_output(task: AttemptTask, tokens: int, *, decode_tokens_s: float) -> AttemptTask:
    """Return the task with fewer tokens of output, and the worst case of these; a GPU session has its own."""
    fewer, price = task.output_tokens - tokens, task.backend.price
    if isinstance(price, TokenPrice):
        saved = worst_token_cost(price, input_tokens=0, output=fewer) - worst_token_cost(
            price, input_tokens=0, output=0
        )
        return replace(task, output_tokens=tokens, worst_cost=task.worst_cost - saved)
    if task.limit_s is None:
        return replace(task, output_tokens=tokens)
    limit_s = max(min(task.limit_s, LEAST_WORST_S), task.limit_s - SLOW * fewer / decode_tokens_s)
    scales = task.backend.cold_start.scales_to_zero
    worst = (
        task.worst_cost
        if scales
        else min(task.worst_cost, attempt_cost(price, BackendWork(busy_s=limit_s, requests=1)))
    )
    return replace(task, output_tokens=tokens, limit_s=limit_s, worst_cost=worst)
