"""What does it mean that the number of instances could not be set?"""

from typing import Final

from domain.fleet.failure_classes import CREDENTIAL_KINDS, Diagnosis, Failure, FailureClass, FailureKind, diagnose

PASSING: Final = frozenset({409, 429, 500, 502, 503, 504})
"""The statuses after which the same call may succeed: another change is under way, too many calls, a bad moment."""

NOT_SENT: Final = frozenset({FailureKind.REFUSED, FailureKind.CONNECT_TIMEOUT, FailureKind.INEXPRESSIBLE})

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
SERVER_ERROR: Final = 500
START_TRIES: Final = 6
"""A start is given up after so many calls, some half a minute; the turns that wait for it go elsewhere."""


def may_repeat(failure: Failure) -> bool:
    """Return whether the same call may succeed a little later."""
    return failure.status in PASSING if failure.kind is FailureKind.STATUS else failure.kind not in CREDENTIAL_KINDS


def changed_nothing(failure: Failure) -> bool:
    """Return whether the count is certainly as it was before the call."""
    is_refusal = failure.status is not None and failure.status < SERVER_ERROR
    return is_refusal or failure.kind in NOT_SENT or failure.kind in CREDENTIAL_KINDS


def is_unheard(failure: Failure) -> bool:
    """Return whether the call was sent and had no answer: it may have changed the count."""
    return failure.status is None and not changed_nothing(failure)


def pause_s(tries: int, failure: Failure) -> float:
    """Return how long to wait after so many failures in a row; at least as long as the API asks for."""
    asked = diagnose(failure, ()).delay_s or 0.0
    return min(max(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10), asked), LONGEST_PAUSE_S)


def count_diagnosis(failure: Failure) -> Diagnosis:
    """Return the diagnosis of a start that failed because of this."""
    found = diagnose(failure, ())
    return Diagnosis(
        failure_class=FailureClass.BROKEN,
        delay_s=found.delay_s,
        reason=f"its number of instances could not be set: {found.reason}",
    )
