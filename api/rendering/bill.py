"""How does a bill explain what it charges before the amounts are final, and what changed when they became final?"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from activities.maintenance.sweep import PERIOD_S
from api.rendering.response import Json
from domain.fleet.instances.numbered import backend_of, is_inferred, number_of
from domain.money.attempt_charge import SessionShare
from domain.money.ledger_records import AttemptRecord
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import LINES, price_in
from state.money.session_outlooks import SharedSession

REASON = (
    "The machine is billed until it stops, {idle_s:g} s after its last request. Until then the turn is charged the "
    "most that it can owe, with the whole idle period. The final part is smaller if other requests share the machine."
)
DIVIDED = (
    "While the machine ran, the turn was charged the most that it could owe. When the machine stopped, its cost was "
    "divided among the requests that used it. The final amount is the part of this turn."
)
UNUSED = "No turn used the machine that this warm-up started."


def shared_session(shared: SharedSession) -> Json:
    """Return what a turn is charged for a session that is still open, what it has used, and what is expected."""
    outlook, price = shared.outlook, shared.backend.price
    charged = sum((each.charge.cost or Decimal(0) for each in shared.records), Decimal(0))
    expected = sum((outlook.expected_of(each.id) for each in shared.records), Decimal(0))
    used = sum((sum(outlook.used[each.id].values(), Decimal(0)) for each in shared.records), Decimal(0))
    return {
        **machine_of(shared.backend.name),
        "started_at": outlook.session.started,
        "ends_at": outlook.ends_at,
        "final_after": outlook.ends_at + PERIOD_S,
        "charged_usd": dollars(charged),
        "used_usd": dollars(used),
        "expected_usd": dollars(expected),
        "lines": list(line_objects(shared)),
        "session_usd": dollars(outlook.so_far),
        "session_expected_usd": dollars(outlook.in_all),
        "responses": list(shared.responses),
        "members_of_others": shared.others,
        "price": {"name": price.name, "source": price.origin.source, "date": price.origin.date},
        **estimate_of(is_inferred(shared.backend)),
        "reason": REASON.format(idle_s=price_in(outlook.session, price).idle_s) if isinstance(price, TimePrice) else "",
    }


def line_objects(shared: SharedSession) -> Iterator[Json]:
    """Yield each line of the bill that the session adds to, with its three amounts."""
    for line in LINES:
        charged = sum((each.charge.lines.get(line, Decimal(0)) for each in shared.records), Decimal(0))
        used = sum((shared.outlook.used[each.id].get(line, Decimal(0)) for each in shared.records), Decimal(0))
        expected = sum((shared.outlook.expected[each.id].get(line, Decimal(0)) for each in shared.records), Decimal(0))
        yield {
            "line": line.value,
            "charged_usd": dollars(charged),
            "used_usd": dollars(used),
            "expected_usd": dollars(expected),
        }


def settled_sessions(records: Iterable[AttemptRecord]) -> list[Json]:
    """Return what a turn pays of each session that is over, what it was charged last before, and why that differs."""
    by_session: dict[str, list[SessionShare]] = {}
    for record in records:
        for name, share in record.charge.shares.items():
            if share.final and share.before is not None:
                by_session.setdefault(name, []).append(share)
    return [settled_session(name, shares) for name, shares in by_session.items()]


def settled_session(name: str, shares: Iterable[SessionShare]) -> Json:
    known = list(shares)
    before = sum((each.before or Decimal(0) for each in known), Decimal(0))
    final = sum((each.amount for each in known), Decimal(0))
    reason = UNUSED if all(each.unused for each in known) else DIVIDED
    return {
        **machine_of(name.partition("/")[0]),
        "provisional_usd": dollars(before),
        "final_usd": dollars(final),
        "difference_usd": dollars(final - before),
        **estimate_of(any(each.is_estimate for each in known)),
        "reason": reason,
    }


def machine_of(instance: str) -> Json:
    """Return the backend of a session, and the number of its instance where that is not the first one."""
    number = number_of(instance)
    return {"backend": backend_of(instance), **({"instance": number} if number else {})}


def estimate_of(is_estimate: bool) -> Json:  # noqa: FBT001 - its only fact
    """Return the mark of a session that the product has inferred; nothing for others."""
    return {"is_estimate": True} if is_estimate else {}


def dollars(amount: Decimal) -> str:
    return f"{amount:.9f}"
