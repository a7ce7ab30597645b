"""How many tokens of output does an attempt reserve where the caller sets no limit?

The first attempt reserves as much as a long answer of this caller has. An answer that reaches this cap goes on in
another attempt.
"""

from typing import Final, NamedTuple

from domain.log.capped_answers import CappedAnswer

GROWTH: Final = 4
"""An answer that is asked again reserves so many times more: all attempts together write at most a third more than the
last one."""


class OutputReservation(NamedTuple):
    """Tokens of output: less than `least` would not get the answer any further."""

    least: int
    tokens: int


def next_reservation(first: int, capped: CappedAnswer | None, *, continues: bool) -> OutputReservation:
    """Return what an attempt reserves; `first` is what the first attempt of such an answer does.

    An answer is expected to grow by as much as it has already, so that a long one needs few attempts. A backend that
    can't continue a text has to write all of it again.
    """
    if capped is None:
        return OutputReservation(1, first)
    if capped.tried:
        return OutputReservation(capped.tried + 1, max(first, GROWTH * capped.tried))
    more = max(first, capped.written)
    return OutputReservation(1, more) if continues else OutputReservation(capped.written + 1, capped.written + more)
