"""What did a crash leave of turns that wait for approvals, and how does each of them go on or end?"""

from activities.maintenance.sweep import TURN_LOST, tolerate_failure
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.tools.approvals import Approval
from domain.turns.response import Response
from state.approvals.reservations import ReservationsAside
from state.approvals.waits import ApprovalWaits
from state.turns.responses import TurnStore
from telemetry.turn_metrics import count_finding


class ApprovalSweep:
    """Runs with the sweep. It may run twice, or twice at the same time.

    `undone_s` is how old a request is whose decision should have been carried out, and `silent_s` how late a turn that
    has not gone on after its wait.
    """

    def __init__(
        self,
        *,
        turns: TurnStore,
        waits: ApprovalWaits,
        reservations: ReservationsAside,
        clock: Clock,
        undone_s: float,
        silent_s: float,
    ) -> None:
        self.turns = turns
        self.waits = waits
        self.reservations = reservations
        self.clock = clock
        self.undone_s = undone_s
        self.silent_s = silent_s

    async def run(self, orchestrations: Orchestrations) -> None:
        await tolerate_failure(self.wake_decided(orchestrations), "wake turns whose requests were decided")
        await tolerate_failure(self.wake_ended(orchestrations), "wake turns that ended while they waited")
        await tolerate_failure(self.end_lost(orchestrations), "end turns that were lost while they waited")
        await tolerate_failure(self.take_up_forgotten(), "reopen forgotten reservations")

    async def wake_decided(self, orchestrations: Orchestrations) -> None:
        """Wake turns again: the event of a decision was lost, or comes late."""
        for owner, approval in await self.turns.approvals.decided(before=self.clock.now() - self.undone_s):
            await tolerate_failure(self.wake(owner, approval, orchestrations), f"wake {approval.response}")

    async def wake(self, owner: Owner, approval: Approval, orchestrations: Orchestrations) -> None:
        try:
            response = await self.turns.read(owner, approval.response)
        except NotFound:
            return
        if response.status.is_terminal:
            await self.turns.approvals.close(owner, approval)
        elif await orchestrations.is_running(response.instance):
            count_finding("decision", 1)
            await orchestrations.signal_decided(response.id, approval.request)
        elif approval.decision is None or approval.decision.at < self.clock.now() - self.silent_s:
            await self.end(response)  # before, the sweep of another app on this store may wake it: each has its own hub

    async def wake_ended(self, orchestrations: Orchestrations) -> None:
        """Let turns be settled that were cancelled or deleted while they waited, and whose signal was lost."""
        for owner, response_id in await self.turns.approvals.ended_waits(before=self.clock.now() - self.undone_s):
            await tolerate_failure(self.settle_ended(owner, response_id, orchestrations), f"wake {response_id}")

    async def settle_ended(self, owner: Owner, response_id: str, orchestrations: Orchestrations) -> None:
        """Wake the turn; where nothing runs for it any more, the sweep finds its reservation again and settles it."""
        if await orchestrations.is_running(response_id):
            count_finding("ended_wait", 1)
            await orchestrations.signal_cancelled(response_id)
        else:
            await self.reservations.take_up(owner, response_id)
            await self.turns.approvals.forget_ended_wait(owner, response_id)

    async def end_lost(self, orchestrations: Orchestrations) -> None:
        for response in await self.waits.overdue(before=self.clock.now() - self.silent_s):
            if not await orchestrations.is_running(response.instance):
                await tolerate_failure(self.end(response), f"end {response.id}")

    async def end(self, response: Response) -> None:
        """Fail a turn whose orchestration is gone. The sweep settles it."""
        count_finding("lost", 1)
        await self.reservations.take_up(response.owner, response.id)
        failed = ResponseStatus.FAILED
        await self.turns.finish(response.owner, response.id, status=failed, code="server_error", message=TURN_LOST)

    async def take_up_forgotten(self) -> None:
        for owner, reservation in await self.reservations.forgotten():
            await self.reservations.take_up(owner, reservation.response)
