"""Which sessions of GPUs are over, and what do their members pay?"""

from activities.maintenance.sweep import log_failure
from state.money.gpu_session_billing import GpuSessionBilling


class SessionCloser:
    """Runs with the sweep. Safe to run twice, or twice at once."""

    def __init__(self, bills: GpuSessionBilling) -> None:
        self.bills = bills

    async def close_sessions(self) -> None:
        await log_failure(self.close_over(), "close sessions")
        await log_failure(self.post_closed(), "post what sessions cost")
        await log_failure(self.review(), "review sessions")

    async def close_over(self) -> None:
        for found in await self.bills.over():
            await log_failure(self.bills.close(found), f"close the session of {found.key.parts[0]}")

    async def post_closed(self) -> None:
        for found in await self.bills.unposted():
            await log_failure(self.bills.post(found), f"post {found.document.id} of {found.key.parts[0]}")

    async def review(self) -> None:
        for found in await self.bills.going_on():
            await log_failure(self.bills.review(found), f"review the session of {found.key.parts[0]}")
