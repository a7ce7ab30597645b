"""What was left behind by a crash, and how does it come to its end?"""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.errors import GanglionError, NotFound
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.money.ledger_records import AttemptRecord, Reservation
from domain.turns.response import Response
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from state.webhook_outbox import WebhookOutbox

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDelays:
    """After how many seconds something counts as left behind: never begun, silent, without its response."""

    unbegun_s: float = 30.0
    silent_s: float = 900.0
    unsettled_s: float = 60.0


class Sweep:
    """Runs once a minute: the product's only queries across partitions. Safe to run twice, or twice at once."""

    def __init__(self, *, turns: TurnStore, ledger: Ledger, clock: Clock, patience: SweepDelays) -> None:
        self.turns = turns
        self.announcements = WebhookOutbox(turns.store, clock)
        self.ledger = ledger
        self.clock = clock
        self.patience = patience

    async def sweep(self, orchestrations: Orchestrations) -> None:
        await log_failure(self.start_forgotten(orchestrations), "start what never began")
        await log_failure(self.end_lost(orchestrations), "end what is lost")
        await log_failure(self.close_reservations(orchestrations), "close reservations")
        await log_failure(self.close_attempts(orchestrations), "close attempts")
        await log_failure(self.announce_overdue(orchestrations), "announce what is overdue")

    async def start_forgotten(self, orchestrations: Orchestrations) -> None:
        before = self.clock.now() - self.patience.unbegun_s
        for response in await self.turns.unfinished(ResponseStatus.QUEUED, before=before):
            await log_failure(orchestrations.start(response), f"start {response.id}")

    async def end_lost(self, orchestrations: Orchestrations) -> None:
        before = self.clock.now() - self.patience.silent_s
        for response in await self.turns.unfinished(ResponseStatus.IN_PROGRESS, before=before):
            await log_failure(self.end_silent(response, orchestrations), f"end {response.id}")

    async def close_reservations(self, orchestrations: Orchestrations) -> None:
        before = self.clock.now() - self.patience.unsettled_s
        for owner, held in await self.ledger.open_reservations(before=before):
            await log_failure(self.close(owner, held, orchestrations), f"settle {held.response}")

    async def close_attempts(self, orchestrations: Orchestrations) -> None:
        """Close what opened after its turn was settled, by a run that the host had given up and that died."""
        before = self.clock.now() - self.patience.silent_s
        for owner, attempt in await self.ledger.open_attempts(before=before):
            await log_failure(self.close_attempt(owner, attempt, orchestrations), f"close {attempt.id}")

    async def announce_overdue(self, orchestrations: Orchestrations) -> None:
        """Have endings told that nobody tells: their turn ended elsewhere than in a step, or what told them is lost."""
        before = self.clock.now() - self.patience.unbegun_s
        for announcement in await self.announcements.overdue(before=before):
            await log_failure(orchestrations.start_delivery(announcement), f"announce {announcement.id}")

    async def end_silent(self, response: Response, orchestrations: Orchestrations) -> None:
        """Fail a turn whose log has been silent for long and whose orchestration is gone."""
        transcript = await self.turns.transcript(response.owner, response.id)
        silent = transcript.last_at < self.clock.now() - self.patience.silent_s
        if silent and not await orchestrations.alive(response.id):
            message = "The turn was lost and could not be recovered."
            await self.turns.finish(
                response.owner, response.id, status=ResponseStatus.FAILED, code="server_error", message=message
            )

    async def close(self, owner: Owner, held: Reservation, orchestrations: Orchestrations) -> None:
        """Release what is held for a response that never came to be; settle one that has ended, or was deleted."""
        try:
            over = (await self.turns.read(owner, held.response)).status.terminal
        except NotFound:
            over = True
            if not await self.ledger.attempts(owner, held.response):
                await self.ledger.release(owner.tenant, held.response)
                return
        if over and not await orchestrations.alive(held.response):
            await self.ledger.settle(owner, held.response)

    async def close_attempt(self, owner: Owner, attempt: AttemptRecord, orchestrations: Orchestrations) -> None:
        try:
            over = (await self.turns.read(owner, attempt.response)).status.terminal
        except NotFound:
            over = True
        if over and not await orchestrations.alive(attempt.response):
            await self.ledger.close_lost(owner, (attempt,))


async def log_failure(work: Awaitable[None], what: str) -> None:
    """What can't be swept now must not keep the rest waiting; the next sweep comes in a minute."""
    try:
        await work
    except GanglionError as error:
        log.warning("sweep: could not %s: %s", what, error)
    except Exception as error:  # noqa: BLE001 - the one broad except of the sweeper
        log.error("sweep: could not %s: %s", what, type(error).__name__)  # noqa: TRY400 - the message may hold content
