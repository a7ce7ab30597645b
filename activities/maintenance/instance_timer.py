"""What does the timer do for instances that the product holds?

It adopts the leases of processes that died, and starts what the minimum of a schedule wants.
"""

from activities.maintenance.sweep import tolerate_failure
from activities.routing.instance_keeper import InstanceKeeper
from activities.routing.warm_up import BackendWarmer
from clients.clock import Clock
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import GrowthReason
from domain.fleet.instances.lease import is_counted
from domain.fleet.instances.several import wanted_count
from domain.identity.owners import Owner
from domain.ids import operator_warm_up_id

SUBJECT = "schedule"
"""Who of the paying tenant starts an instance because of a minimum."""


class InstanceTimer:
    """Runs apart from the sweep, so that an instance ends even if the sweep fails. It may run twice at once."""

    def __init__(self, keeper: InstanceKeeper, warmer: BackendWarmer, clock: Clock) -> None:
        self.keeper = keeper
        self.warmer = warmer
        self.clock = clock

    @property
    def has_work(self) -> bool:
        """Whether the fleet has a backend whose instances the product holds."""
        return bool(self.keeper.kept)

    async def run(self) -> None:
        await tolerate_failure(self.keeper.adopt(), "end instances")
        for backend in self.keeper.kept:
            await tolerate_failure(self.keep_minimum(backend), f"keep the minimum instances of {backend.name}")

    async def keep_minimum(self, backend: Backend) -> None:
        """Start an instance where the schedule wants one more than are held; its payer pays for it."""
        control = backend.instances
        if not is_counted(backend) or control is None or control.payer is None:
            return
        minimum, owner = control.limits(self.clock.now()).minimum, Owner(tenant=control.payer, subject=SUBJECT)
        if not minimum:
            return
        name = operator_warm_up_id(self.clock.token())
        if not await self.keeper.leases.read(backend):
            await self.warmer.warm_up(backend, name, owner=owner, wait=False)
        elif minimum > 1 and wanted_count(await self.keeper.state_of(backend)) < minimum:
            why = GrowthReason(reason=f"its schedule asks for {minimum} instances")
            await self.warmer.warm_up_further(backend, name, owner=owner, why=why)
