"""How is it shown what happened to the GPU of a turn while its calls ran?"""

from decimal import Decimal

from api.rendering.response import Json
from domain.tools.pauses.pause_record import PauseRecord

PRECISION = Decimal("0.000000001")
"""Nano-dollars, as in the ledger."""


def pause_report(pause: PauseRecord) -> Json:
    """Return the decision of one round: times are seconds since the epoch, amounts are dollars as decimal strings.

    `saved_usd` is the idle time that a release saves. A start is planned where the waiting that it saves
    (`waiting_usd`) is worth more than its idle time, should the calls end late (`late_usd`).
    """
    decided = pause.decided
    return {
        "round": pause.round,
        "calls": list(pause.calls),
        "backend": pause.backend,
        "at": pause.at,
        "reason": decided.reason,
        "released_at": pause.released_at,
        "ends_at": pause.ends_at,
        "starts_at": pause.starts_at,
        "started_at": pause.started_at,
        "saved_usd": shown(decided.saved if pause.released_at is not None else Decimal(0)),
        "waiting_usd": shown(decided.waiting),
        "late_usd": shown(decided.lateness),
    }


def shown(amount: Decimal) -> str:
    return f"{amount.quantize(PRECISION).normalize():f}"
