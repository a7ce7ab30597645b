"""Which sessions of GPUs are over, and what do their members pay?"""

from activities.maintenance.sweep import guarded
from state.money.gpu_session_billing import SessionBills


class Closing:
    """Runs with the sweep. Safe to run twice, or twice at once."""

    def __init__(self, bills: SessionBills) -> None:
        self.bills = bills

    async def close_sessions(self) -> None:
        await guarded(self.close_over(), "close sessions")
        await guarded(self.post_closed(), "post what sessions cost")
        await guarded(self.review(), "review sessions")

    async def close_over(self) -> None:
        for found in await self.bills.over():
            await guarded(self.bills.close(found), f"close the session of {found.key.parts[0]}")

    async def post_closed(self) -> None:
        for found in await self.bills.unposted():
            await guarded(self.bills.post(found), f"post {found.document.id} of {found.key.parts[0]}")

    async def review(self) -> None:
        for found in await self.bills.going_on():
            await guarded(self.bills.review(found), f"review the session of {found.key.parts[0]}")
