"""Which state do all hops of the issuer share: keys, clock, conditions and recorded calls?"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from standins.issuer import entra_tokens
from standins.issuer.conditions import Conditions

KEPT_CALLS = 10_000


@dataclass(slots=True, kw_only=True)
class IssuerCall:
    """`status` is None while the call runs, and stays None when the caller disconnects."""

    hop: str
    at: float
    path: str
    status: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"hop": self.hop, "at": self.at, "path": self.path, "status": self.status}


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCode:
    """A code that was not redeemed yet: for whom, for which request, and until when (seconds since the epoch)."""

    user: str
    tenant: str
    client_id: str
    redirect_uri: str
    challenge: str
    until: float


class IssuerState:
    def __init__(self, data: Path, clock: Callable[[], float]) -> None:
        self.data = data
        self.clock = clock
        self.conditions = Conditions()
        self.calls: deque[IssuerCall] = deque(maxlen=KEPT_CALLS)
        self.codes: dict[str, IssuedCode] = {}
        self.counts: Counter[str] = Counter()
        self.opened: entra_tokens.LocalIssuer | None = None

    def now(self) -> float:
        return self.clock() + self.conditions.ahead

    async def issuer(self) -> entra_tokens.LocalIssuer:
        """Opens the issuer once: another process may create its files, but only this one rotates the keys."""
        if self.opened is None:
            self.opened = await asyncio.to_thread(entra_tokens.issuer_in, self.data)
        return self.opened

    async def rotate(self) -> None:
        self.opened = await asyncio.to_thread(entra_tokens.rotate, self.data)

    async def retire(self) -> None:
        self.opened = await asyncio.to_thread(entra_tokens.retire, self.data)

    def record_call(self, hop: str, path: str) -> IssuerCall:
        call = IssuerCall(hop=hop, at=self.clock(), path=path)
        self.calls.append(call)
        self.counts[hop] += 1
        return call

    def clear_calls(self) -> None:
        self.calls.clear()
        self.counts.clear()

    def calls_json(self) -> dict[str, Any]:
        return {"counts": dict(self.counts), "calls": [call.to_json() for call in self.calls]}
