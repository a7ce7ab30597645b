"""Where do requests for turns come in?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azurefunctions.extensions.http.fastapi import Request

from api.http.authentication import Authenticator, owner_of
from api.http.json_body import read_body, read_object
from api.parsing.responses_request import TurnRequest
from api.turns.admission import Admission, read_delivery
from api.turns.log_stream import LogStream
from api.turns.request_costs import RequestCosts
from clients.orchestrations import OpenOrchestrations
from domain.identity.owners import Owner
from domain.log.transcript import Transcript
from domain.turns import response as domain_turns

type Turn = domain_turns.Response


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnGateway:
    """What every function has that asks for a turn; `sync_wait_s` is how long a call is held that does not stream."""

    authenticator: Authenticator
    admission: Admission
    log_stream: LogStream
    accounting: RequestCosts
    open_orchestrations: OpenOrchestrations
    body_limit: int
    sync_wait_s: float

    async def owner(self, request: Request) -> Owner:
        return await owner_of(request, self.authenticator)

    async def read_request(self, request: Request) -> tuple[Owner, dict[str, Any]]:
        """Return who asks, and the JSON object that he sent."""
        owner = await self.owner(request)
        return owner, read_object(await read_body(request, limit=self.body_limit))

    async def admit(
        self, request: Request, owner: Owner, asked: TurnRequest, *, told: Mapping[str, Any], client: Any
    ) -> Turn:
        """Let a turn in and start it; `told` is what makes a repeated request the same one."""
        visit = self.accounting.visit()
        with visit.metered():
            turn = await self.admission.admit(
                owner, asked, read_delivery(request, told), self.open_orchestrations(client)
            )
        self.accounting.let_in(turn.id, visit)
        return turn

    async def wait_until_ended(self, turn: Turn) -> Transcript:
        """Return the turn's log when it has ended, or as it is when a call has been held for long.

        A background turn's is as it is at once.
        """
        return await self.log_stream.ended(turn, within_s=0.0 if turn.background else self.sync_wait_s)
