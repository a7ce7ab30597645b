"""How does a bill explain what it charges before the amounts are final?"""

from decimal import Decimal

from activities.maintenance.sweep import PERIOD_S
from api.rendering.response import Json
from domain.money.prices import TimePrice
from state.money.session_outlooks import SharedSession

REASON = (
    "The machine is paid until it stops, {idle_s:g} s after its last request. Until then this turn is charged the most "
    "that it can owe: other requests may share the time with it, or not."
)


def shared_session(shared: SharedSession) -> Json:
    """Return what a turn is charged for a session that is still open, what it has used, and what is expected."""
    outlook, price = shared.outlook, shared.backend.price
    charged = sum((each.charge.cost or Decimal(0) for each in shared.records), Decimal(0))
    expected = sum((outlook.expected_of(each.id) for each in shared.records), Decimal(0))
    return {
        "backend": shared.backend.name,
        "started_at": outlook.session.started,
        "ends_at": outlook.ends_at,
        "final_after": outlook.ends_at + PERIOD_S,
        "charged_usd": dollars(charged),
        "expected_usd": dollars(expected),
        "session_usd": dollars(outlook.so_far),
        "session_expected_usd": dollars(outlook.in_all),
        "responses": list(shared.responses),
        "members_of_others": shared.others,
        "price": {"name": price.name, "source": price.origin.source, "date": price.origin.date},
        "reason": REASON.format(idle_s=price.idle_s) if isinstance(price, TimePrice) else "",
    }


def dollars(amount: Decimal) -> str:
    return f"{amount:.9f}"
