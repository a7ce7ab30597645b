"""What do all endpoints share that start a turn and wait for it?"""

from collections.abc import AsyncIterator, Callable
from copy import replace
from functools import partial
from typing import Any

from azurefunctions.extensions.http.fastapi import Request
from msgspec import Struct

from api.http.authentication import Authenticator, owner_of, presented_token
from api.http.disconnects import Cancellations
from api.http.packed_body import UNKNOWN_CODING
from api.http.request_body import BodyReader, is_large
from api.parsing.responses_request import TurnRequest
from api.turns.admission import Admission
from api.turns.deliveries import may_be_repeat, read_delivery
from api.turns.log_stream import LogStream, RenderSlot
from api.turns.request_costs import RequestCosts
from api.uploads.inputs import FileInputs
from clients.orchestrations import OpenOrchestrations
from domain.errors import Invalid
from domain.identity.owners import Owner
from domain.log.transcript import Transcript
from domain.turns import response as domain_turns

type Turn = domain_turns.Response


class TurnGateway(Struct, frozen=True, kw_only=True):
    """Reads requests, admits their turns and waits; `sync_wait_s` limits how long a call without a stream is held."""

    authenticator: Authenticator
    admission: Admission
    log_stream: LogStream
    cancellations: Cancellations
    request_costs: RequestCosts
    open_orchestrations: OpenOrchestrations
    bodies: BodyReader
    files: FileInputs
    sync_wait_s: float

    async def owner(self, request: Request) -> Owner:
        return await owner_of(request, self.authenticator)

    async def read[T](self, request: Request, parse: Callable[[dict[str, Any]], T]) -> tuple[Owner, T]:
        """Return the caller, and what `parse` makes of the JSON object of the body.

        A large body that is wrong costs a token, so that no caller can have many of them parsed. Raises RateLimited
        before such a body is read where the caller has no token, unless the request may be a repeat, which costs none.
        """
        owner, limits = await self.owner(request), self.admission.limits
        costs = is_large(request, limit=self.bodies.input_limit)
        if costs and not may_be_repeat(request):
            limits.check(owner)
        try:
            return owner, await self.bodies.read_input(request, parse, complete=partial(self.files.inlined, owner))
        except Invalid as error:
            if costs and error.code != UNKNOWN_CODING:
                await limits.take(owner)
            raise

    async def admit(
        self, request: Request, owner: Owner, turn_request: TurnRequest, *, body_hash: str, client: Any
    ) -> Turn:
        """Admit a turn and start it; two requests with an equal hash are the same request, sent again."""
        use = self.request_costs.start()
        with use.metered():
            delivery = read_delivery(request, body_hash)
            asked = replace(turn_request, assertion=presented_token(request))
            turn = await self.admission.admit(owner, asked, delivery, self.open_orchestrations(client))
        self.request_costs.keep(turn.id, use)
        return turn

    def stream(
        self, request: Request, turn: Turn, render: RenderSlot, *, cancels: bool, client: Any
    ) -> AsyncIterator[bytes]:
        """Return the stream of a turn that this request has started; `cancels`: hanging up cancels the turn."""
        stream = self.log_stream.stream(turn, render)
        if not cancels:
            return stream
        return self.cancellations.on_disconnect(stream, request, turn, client)

    async def wait_until_ended(self, turn: Turn) -> Transcript:
        """Return the turn's log when it has ended, or the log so far after `sync_wait_s` seconds.

        The log of a background turn is returned at once.
        """
        return await self.log_stream.wait_until_ended(
            turn, within_s=0.0 if turn.options.background else self.sync_wait_s
        )
