"""What do all endpoints share that start a turn and wait for it?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azurefunctions.extensions.http.fastapi import Request

from api.http.authentication import Authenticator, owner_of
from api.http.json_body import read_body, read_object
from api.parsing.responses_request import TurnRequest
from api.turns.admission import Admission
from api.turns.deliveries import read_delivery
from api.turns.log_stream import LogStream
from api.turns.request_costs import RequestCosts
from clients.orchestrations import OpenOrchestrations
from domain.identity.owners import Owner
from domain.log.transcript import Transcript
from domain.turns import response as domain_turns

type Turn = domain_turns.Response


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnGateway:
    """Reads requests, admits their turns and waits; `sync_wait_s` limits how long a call without a stream is held."""

    authenticator: Authenticator
    admission: Admission
    log_stream: LogStream
    request_costs: RequestCosts
    open_orchestrations: OpenOrchestrations
    body_limit: int
    sync_wait_s: float

    async def owner(self, request: Request) -> Owner:
        return await owner_of(request, self.authenticator)

    async def read_request(self, request: Request) -> tuple[Owner, dict[str, Any]]:
        """Return the caller and the JSON object of the body."""
        owner = await self.owner(request)
        return owner, read_object(await read_body(request, limit=self.body_limit))

    async def admit(
        self, request: Request, owner: Owner, turn_request: TurnRequest, *, content: Mapping[str, Any], client: Any
    ) -> Turn:
        """Admit a turn and start it; two requests with equal `content` are the same request, sent again."""
        use = self.request_costs.start()
        with use.metered():
            delivery = read_delivery(request, content)
            turn = await self.admission.admit(owner, turn_request, delivery, self.open_orchestrations(client))
        self.request_costs.keep(turn.id, use)
        return turn

    async def wait_until_ended(self, turn: Turn) -> Transcript:
        """Return the turn's log when it has ended, or the log so far after `sync_wait_s` seconds.

        The log of a background turn is returned at once.
        """
        return await self.log_stream.wait_until_ended(
            turn, within_s=0.0 if turn.options.background else self.sync_wait_s
        )
