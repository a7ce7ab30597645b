"""What did a crash leave unfinished, and how is each leftover finished?"""

import logging
from collections.abc import Awaitable, Sequence

from msgspec import Struct

from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.errors import GanglionError, NotFound
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.money.ledger_records import AttemptRecord, Reservation
from domain.money.settlement import Settlement
from domain.turns.origins import origin_of
from domain.turns.response import Response
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from state.webhook_outbox import KEPT_S, WebhookOutbox
from telemetry.turn_end import EndedTurn, report_turn
from telemetry.turn_metrics import count_finding, measure_sweep, report_pending_webhooks

log = logging.getLogger(__name__)

SCHEDULE = "0 * * * * *"
"""When the timer runs, as NCRONTAB: once a minute."""

PERIOD_S = 60.0
"""The seconds between two runs of the timer."""

TURN_LOST = "The turn was lost and could not be recovered."


class SweepDelays(Struct, frozen=True, kw_only=True):
    """After how many seconds something counts as left over.

    `unbegun_s`: a response whose orchestration has not begun, or a webhook delivery that is overdue. `silent_s`: a
    response whose log has not grown, or an attempt that is open. `unsettled_s`: a reservation that is open.
    """

    unbegun_s: float
    silent_s: float
    unsettled_s: float


class Sweep:
    """Runs once a minute with the product's only queries across partitions.

    It may run twice, or twice at the same time.
    """

    def __init__(
        self, *, turns: TurnStore, outbox: WebhookOutbox, ledger: Ledger, clock: Clock, delays: SweepDelays
    ) -> None:
        self.turns = turns
        self.outbox = outbox
        self.ledger = ledger
        self.clock = clock
        self.delays = delays
        self.unfinished: dict[ResponseStatus, Sequence[Response]] = {}

    async def sweep(self, orchestrations: Orchestrations) -> None:
        started_at, self.unfinished = self.clock.now(), {}
        await tolerate_failure(self.start_unbegun(orchestrations), "start responses that never began")
        await tolerate_failure(self.end_lost(orchestrations), "end lost responses")
        await tolerate_failure(self.close_reservations(orchestrations), "close reservations")
        await tolerate_failure(self.close_attempts(orchestrations), "close attempts")
        await tolerate_failure(self.start_overdue_deliveries(orchestrations), "start overdue webhook deliveries")
        measure_sweep(self.clock.now() - started_at)

    async def start_unbegun(self, orchestrations: Orchestrations) -> None:
        queued = await self.turns.unfinished(ResponseStatus.QUEUED, before=self.clock.now())
        self.unfinished[ResponseStatus.QUEUED] = queued
        own = [response for response in queued if not response.options.batch]
        unbegun = admitted_before(own, self.clock.now() - self.delays.unbegun_s)
        count_finding("unbegun", len(unbegun))
        for response in unbegun:
            await tolerate_failure(orchestrations.start(response), f"start {response.id}")

    async def end_lost(self, orchestrations: Orchestrations) -> None:
        running = await self.turns.unfinished(ResponseStatus.IN_PROGRESS, before=self.clock.now())
        self.unfinished[ResponseStatus.IN_PROGRESS] = running
        for response in admitted_before(running, self.clock.now() - self.delays.silent_s):
            await tolerate_failure(self.end_if_lost(response, orchestrations), f"end {response.id}")

    async def close_reservations(self, orchestrations: Orchestrations) -> None:
        before = self.clock.now() - self.delays.unsettled_s
        for owner, reservation in await self.ledger.open_reservations(before=before):
            work = self.close_reservation(owner, reservation, orchestrations)
            await tolerate_failure(work, f"settle {reservation.response}")

    async def close_attempts(self, orchestrations: Orchestrations) -> None:
        """Close attempts that opened after their turn was settled.

        The host had given such a run up, and the run died later.
        """
        before = self.clock.now() - self.delays.silent_s
        for owner, attempt in await self.ledger.open_attempts(before=before):
            await tolerate_failure(self.close_attempt(owner, attempt, orchestrations), f"close {attempt.id}")

    async def start_overdue_deliveries(self, orchestrations: Orchestrations) -> None:
        """Start webhook deliveries that no orchestration works on.

        Their turn did not end in a step, or their orchestration is lost.
        """
        now = self.clock.now()
        pending = await self.outbox.overdue(before=now + KEPT_S)
        report_pending_webhooks(len(pending))
        overdue = [each for each in pending if each.due_at < now - self.delays.unbegun_s]
        count_finding("overdue_delivery", len(overdue))
        for delivery in overdue:
            await tolerate_failure(orchestrations.start_delivery(delivery), f"start the webhook delivery {delivery.id}")

    async def end_if_lost(self, response: Response, orchestrations: Orchestrations) -> None:
        """Fail a response whose log has not grown for long and whose orchestration is gone."""
        transcript = await self.turns.transcript(response.owner, response.id)
        is_silent = transcript.last_at < self.clock.now() - self.delays.silent_s
        if is_silent and not await orchestrations.is_running(response.instance):
            count_finding("lost", 1)
            await self.turns.finish(
                response.owner, response.id, status=ResponseStatus.FAILED, code="server_error", message=TURN_LOST
            )

    async def close_reservation(self, owner: Owner, reservation: Reservation, orchestrations: Orchestrations) -> None:
        """Settle the reservation of a response that has ended or was deleted.

        Release the reservation where no response was ever created.
        """
        response_id, found = reservation.response, None
        try:
            found = await self.turns.read(owner, response_id)
        except NotFound:
            if not await self.ledger.attempts(owner, response_id):
                count_finding("reservation_without_response", 1)
                await self.ledger.release(owner.tenant, response_id)
                return
        has_ended = found is None or found.status.is_terminal
        if has_ended and not await orchestrations.is_running(found.instance if found else response_id):
            count_finding("unsettled", 1)
            origin = origin_of(found.options) if found else ""
            settlement = await self.ledger.settle(owner, response_id, origin=origin)
            report_turn(left_turn(reservation, owner, found, settlement, now=self.clock.now()))

    async def close_attempt(self, owner: Owner, attempt: AttemptRecord, orchestrations: Orchestrations) -> None:
        has_ended, instance = True, attempt.response
        try:
            found = await self.turns.read(owner, attempt.response)
            has_ended, instance = found.status.is_terminal, found.instance
        except NotFound:
            pass
        if has_ended and not await orchestrations.is_running(instance):
            count_finding("open_attempt", 1)
            await self.ledger.close_lost(owner, (attempt,))


def left_turn(
    reservation: Reservation, owner: Owner, found: Response | None, settlement: Settlement, *, now: float
) -> EndedTurn:
    """Return what is reported of a turn that its orchestration did not settle; its response may be deleted."""
    return EndedTurn(
        response_id=reservation.response,
        tenant=owner.tenant,
        traceparent=found.traceparent if found else "",
        status=found.status if found else "deleted",
        code="",
        settlement=settlement,
        ended_at=now,
    )


def admitted_before(responses: Sequence[Response], at: float) -> Sequence[Response]:
    return [response for response in responses if response.created_at < at]


class GpuSessionCloser:
    """Closes GPU sessions that are over and charges their members.

    It runs with the sweep, and may run twice, or twice at the same time.
    """

    def __init__(self, billing: GpuSessionBilling) -> None:
        self.billing = billing

    async def close_sessions(self) -> None:
        await tolerate_failure(self.close_over(), "close sessions")
        await tolerate_failure(self.post_closed(), "post the costs of sessions")
        await tolerate_failure(self.review_open(), "review sessions")

    async def close_over(self) -> None:
        for found in await self.billing.finished_sessions():
            await tolerate_failure(self.billing.close(found), f"close the session of {found.key.parts[0]}")

    async def post_closed(self) -> None:
        for found in await self.billing.unposted_sessions():
            await tolerate_failure(self.billing.post(found), f"post {found.document.id} of {found.key.parts[0]}")

    async def review_open(self) -> None:
        for found in await self.billing.sessions_to_review():
            await tolerate_failure(self.billing.review(found), f"review the session of {found.key.parts[0]}")


async def tolerate_failure(work: Awaitable[None], action: str) -> None:
    """Log a failure, so that it does not keep the rest of the sweep from running. The next sweep tries again."""
    try:
        await work
    except GanglionError as error:
        log.warning("sweep: could not %s: %s", action, error)
    except Exception as error:  # noqa: BLE001 - the one broad except of the sweeper
        log.error("sweep: could not %s: %s", action, type(error).__name__)  # noqa: TRY400 - the message may hold content
