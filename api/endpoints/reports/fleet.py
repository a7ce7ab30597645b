"""What does each backend do now, what has its GPU session cost so far, and which rule decides on the next one?"""

import json
from collections.abc import Iterable
from decimal import Decimal

from azurefunctions.extensions.http.fastapi import Request, Response

from api.endpoints.reports.parameters import require_role
from api.endpoints.reports.warm_ups import worst_cost
from api.http.authentication import Authenticator, owner_of
from api.http.conditional import conditional, tag_of
from api.http.errors import json_answer
from api.http.pagination import list_object
from api.rendering.response import Json
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Auth, AuthKind, Backend
from domain.fleet.failure_classes import NOT_ACCEPTED
from domain.fleet.instances.further import FurtherInstance
from domain.fleet.instances.inferred import inferred
from domain.fleet.instances.memory import memory_of
from domain.fleet.instances.places import instances_up
from domain.fleet.instances.scaling import Scaling
from domain.fleet.learned_speed import LearnedSpeed, most_at
from domain.fleet.status import obstacle_of, status_of
from domain.identity.owners import Owner
from domain.identity.roles import AppRole, has_role
from domain.money.ledger_records import NANOS
from domain.money.prices import TimePrice
from domain.money.sessions.gpu_sessions import GpuSession
from domain.money.sessions.outlook import cost_so_far, earliest_end
from domain.money.sessions.work_times import WorkTime
from domain.money.usage import CAUSE, day_of, grouped
from domain.routing.rent_or_buy import session_price
from state.fleet_status import BackendSummary, FleetStatus
from state.money.recent_sessions import EndedSession
from state.money.session_sharers import SessionSharers
from state.money.usage_rows import UsageRows

SPENT_S = 15.0
BEYOND_PLACES = "the others had no places for all requests"
NOT_CHOSEN = "the default rule: no demand has been replayed yet"


class FleetReports:
    """The HTTP function that reports the backends."""

    def __init__(self, *, authenticator: Authenticator, status: FleetStatus, usage: UsageRows) -> None:
        self.authenticator = authenticator
        self.status = status
        self.usage = usage
        self.spent: dict[str, tuple[float, Json]] = {}

    async def list(self, req: Request) -> Response:
        """`GET /v1/fleet`"""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_READ)
        summary = await self.status.summary()
        data = [backend_object(each, summary.at, owner.tenant) for each in summary.backends]
        today = await self.today(owner, summary.at) if has_role(owner, AppRole.USAGE_READ) else None
        answer = json_answer({**list_object(data, more=False), "today_usd": today, "at": summary.at})
        return conditional(req, answer, tag_of(json.dumps([data, today]).encode()))

    async def today(self, owner: Owner, now: float) -> Json:
        """Return what the tenant's day has cost so far by cause, as it was at most `SPENT_S` ago."""
        read_at, known = self.spent.get(owner.tenant, (0.0, {}))
        if not 0 <= now - read_at < SPENT_S:
            day = day_of(now)
            rows = grouped(await self.usage.of_tenant(owner.tenant, first=day, last=day, by=(CAUSE,)), ())
            causes = rows[0].causes if rows else {}
            known = {name: f"{Decimal(amount) / NANOS:.9f}" for name, amount in causes.items() if amount}
            self.spent[owner.tenant] = (now, known)
        return known


def backend_object(summary: BackendSummary, now: float, tenant: str) -> Json:
    """Return a backend. Times are seconds since the epoch, amounts dollars as decimal strings."""
    backend, state = summary.backend, summary.state
    found, memory = obstacle_of(state, now), memory_of(backend, state, now)
    return {
        "id": backend.name,
        "object": "backend",
        "model": backend.model,
        "system": backend.system,
        "region": backend.region,
        "status": status_of(backend, state, now).value,
        "obstacle": found and {"reason": found[0].value, "until": found[1]},
        "running": state.load.running(now),
        "queued": state.load.queued(now),
        "concurrency": backend.limits.concurrency,
        "kv_memory": memory and memory.to_document(),
        "speed": speed_object(state.speed),
        "start": start_object(summary, now) if backend.cold_start.scales_to_zero else None,
        "rule": rule_object(summary) if backend.cold_start.scales_to_zero else None,
        "sessions": [ended_object(each) for each in summary.ended],
        "session": summary.session and session_object(summary.session, summary.sharers, backend, now, tenant),
        **instances_object(summary, now, tenant),
    }


def speed_object(speed: LearnedSpeed) -> Json:
    """Return the tokens a second, on average and by how many requests ran at once."""
    return {
        "prefill_tokens_s": round(speed.prefill_tokens_s, 3),
        "decode_tokens_s": round(speed.decode_tokens_s, 3),
        "decode_by_load": [{"up_to": most_at(level), "tokens_s": round(each, 3)} for level, each in speed.by_load],
    }


def instances_object(summary: BackendSummary, now: float, tenant: str) -> Json:
    """Return the open session of each instance of a backend that may have several, and why further ones were started.

    `count` is how many take turns.
    """
    backend, most = summary.backend, summary.backend.max_instances
    if most == 1:
        return {}
    sessions = [
        {"number": each.number, **(session_object(each.session, each.sharers, backend, now, tenant) or {})}
        for each in summary.instances
    ]
    is_counted = backend.scaling is Scaling.COUNT
    count = instances_up(backend, summary.state, now) if is_counted and sessions else len(sessions)
    known = summary.state.warmth.further if is_counted else inferred(backend, summary.state, now)
    further = [further_object(number, each) for number, each in enumerate(known, start=1)]
    facts = {"most": most, "count": count, "is_estimate": not is_counted}
    return {"instances": {**facts, "sessions": sessions, "further": further}}


def further_object(number: int, one: FurtherInstance) -> Json:
    """Return why an instance beside the first one was started, and when; before its count is set it is asked for."""
    why = one.why
    return {
        "number": number,
        "since": one.since,
        "is_asked_for": not one.is_set,
        "reason": why.reason if why else BEYOND_PLACES,
        "count_before": why.before if why else None,
        "count_after": why.after if why else None,
        "rental_spend_usd": f"{why.spent:.9f}" if why else None,
        "saved_usd": f"{why.saved:.9f}" if why else None,
        "price_usd": f"{why.price:.9f}" if why else None,
    }


def start_object(summary: BackendSummary, now: float) -> Json:
    """Return how a backend that scales to zero starts, and what it would have saved recently had it been up."""
    state = summary.state
    under_way, failed = state.warmth.start_under_way(now), state.warmth.failed_warm_up
    return {
        "since": under_way.since if under_way else None,
        "warm_until": state.warmth.warm_until,
        "p50_s": state.start_times.p50_s,
        "p99_s": state.start_times.p99_s,
        "samples": len(state.start_times.samples),
        "worst_warm_up_usd": f"{worst_cost(summary.backend, state):.9f}",
        "lost_warm_ups": state.warmth.lost_warm_ups,
        "failed_warm_up": failed
        and {
            "at": failed.at,
            "again_at": failed.again_at,
            "reason": failed.reason,
            "grant": needed_grant(summary.backend.auth) if NOT_ACCEPTED in failed.reason else None,
        },
        "rental_spend_usd": None if summary.spent is None else f"{summary.spent:.9f}",
        "rental_window_s": round(summary.rule_window_s, 3),
        **learned_range(state),
        "seen_s": [round(each, 3) for each in state.start_times.samples],
    }


def needed_grant(auth: Auth) -> str | None:
    """Return what has to be granted to whom, so that a backend accepts the app; None for one without credentials."""
    account = auth.service_account or "the app's service account"
    grants = {
        AuthKind.GOOGLE_ID_TOKEN: f"roles/run.invoker on the service for {account}",
        AuthKind.GOOGLE_ACCESS_TOKEN: f"a role that may call the service, such as roles/aiplatform.user, for {account}",
        AuthKind.ENTRA: "a role that may call the resource for the managed identity of the app",
        AuthKind.STATIC_BEARER: f"a valid token in {auth.setting}",
        AuthKind.AWS_KEY: "a policy that may call the service for the user of the key",
        AuthKind.AWS_SIGV4: f"a policy that may call {auth.service} for {auth.role or 'the role of the app'}",
    }
    return grants.get(auth.kind)


def rule_object(summary: BackendSummary) -> Json:
    """Return when a session is bought and kept, and what the demand would have cost under this rule and its rivals.

    The rental spend of the window has to reach `buys_at_usd`, and `keeps_at_usd` where the GPU is up.
    """
    rule, adopted = summary.rule, summary.adopted
    price = session_price(summary.backend.price, summary.state.start_times.p50_s)
    return {
        "threshold": rule.threshold,
        "keep": rule.keep,
        "window": rule.window,
        "idle_s": rule.idle_s,
        "window_s": round(summary.rule_window_s, 3),
        "session_price_usd": f"{price:.9f}",
        "buys_at_usd": f"{Decimal(str(rule.threshold)) * price:.9f}",
        "keeps_at_usd": f"{Decimal(str(rule.keep)) * price:.9f}",
        "chosen_at": adopted.at if adopted else None,
        "reason": adopted.reason if adopted else NOT_CHOSEN,
        "turns": adopted.turns if adopted else 0,
        "would_have_cost_usd": {name: f"{usd:.6f}" for name, usd in adopted.dollars.items()} if adopted else {},
    }


def learned_range(state: BackendState) -> Json:
    """Return the shortest and the longest start that was seen, in seconds; null without any."""
    samples = state.start_times.samples
    return {"shortest_s": min(samples, default=None), "longest_s": max(samples, default=None)}


def session_object(
    session: GpuSession, sharers: SessionSharers | None, backend: Backend, now: float, tenant: str
) -> Json | None:
    """Return a session under way. Of other tenants' attempts only the number and the sum are shown."""
    price = backend.price
    if not isinstance(price, TimePrice):
        return None
    own = sorted(record for record, of in session.running.items() if of == tenant)
    return {
        "started_at": session.started,
        "ready_at": session.ready_at,
        "last_request_at": session.last_end if session.recent_ends else None,
        "requests_ended_at": list(session.recent_ends),
        "worked": sharers and work_object(sharers.work),
        "ends_at": earliest_end(session, price),
        "cost_usd": f"{cost_so_far(session, price, now):.9f}",
        "members": session.members,
        "running": own,
        "running_of_others": len(session.running) - len(own),
        "sharers": sharers and sharers_object(sharers, tenant),
    }


def sharers_object(found: SessionSharers, tenant: str) -> Json:
    """Return what each turn of the tenant would pay of a session that stopped now, and all others together."""
    own: dict[str, Decimal] = {}
    for each in found.sharers:
        if each.tenant == tenant:
            own[each.response] = own.get(each.response, Decimal(0)) + each.used
    others = sum((each.used for each in found.sharers if each.tenant != tenant), Decimal(0))
    return {
        "own": [{"response_id": name, "used_usd": f"{used:.9f}"} for name, used in sorted(own.items())],
        "others_usd": f"{others:.9f}",
        "at": found.at,
    }


def ended_object(ended: EndedSession) -> Json:
    """Return a session that is over. It says when requests ended, and nothing of whose they were."""
    session = ended.session
    return {
        "started_at": session.started,
        "ready_at": session.ready_at,
        "last_request_at": session.last_end,
        "ended_at": ended.ended_at,
        "cost_usd": f"{ended.cost:.9f}",
        "members": session.members,
        "served": ended.served,
        "requests_ended_at": list(session.recent_ends),
        "worked": None if ended.work is None else work_object(ended.work),
    }


def work_object(times: Iterable[WorkTime]) -> list[list[float]]:
    """Return when requests ran, as pairs of a beginning and an end."""
    return [[began, ended] for began, ended in times]
