"""What is the outcome of a failed attempt, and what do the owner and the operator read about it?"""

import logging

from activities.inference.task import AttemptTask
from domain import wire
from domain.fleet.backend_words import words_hash
from domain.fleet.failure_classes import Diagnosis, Failure
from domain.fleet.retry_policy import Failover, GiveUp, RetryLater
from domain.log.events import AttemptOutcome

logger = logging.getLogger("ganglion.activities")

BACKEND_FAILED = "The backend gave no answer ({})."
ITS_WORDS = " Its own message is in the attempts of GET /v1/responses/{}/route."
LOGGED = "An attempt at backend %s failed: class %s, %s, message %s"
"""The message itself can quote a prompt: the log has its hash."""


def log_failure(task: AttemptTask, diagnosis: Diagnosis, failure: Failure, words: str) -> None:
    """Log a failure without the backend's words."""
    logger.warning(LOGGED, task.backend.name, diagnosis.failure_class, seen(failure), words_hash(words))


def seen(failure: Failure) -> str:
    """Return what an operator's log says about a failure: no body, no header."""
    return f"{failure.kind.value} {failure.status or ''}".strip()


def outcome_of(task: AttemptTask, decision: RetryLater | Failover | GiveUp, words: str) -> AttemptOutcome:
    """Return the outcome of a failed attempt; `words` is the backend's own message, which only the owner may read."""
    match decision:
        case RetryLater(delay_s=delay_s, reason=reason):
            return AttemptOutcome(attempt=task.number, result="wait", message=reason, delay_s=delay_s)
        case Failover(reason=reason):
            return AttemptOutcome(attempt=task.number, result=wire.FAILOVER, message=reason)
        case GiveUp(code=code, reason=reason):
            pointer = ITS_WORDS.format(task.response.id) if words else ""
            message = BACKEND_FAILED.format(reason) + pointer
            return AttemptOutcome(attempt=task.number, result="failed", code=code, message=message)
