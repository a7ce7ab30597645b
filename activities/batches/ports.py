"""What do the steps of a batch need of the API? It knows how a body becomes a turn, and a turn a body."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

from msgspec import Struct

from domain.batches.batch import Batch
from domain.errors import GanglionError
from domain.log.transcript import Transcript
from domain.turns.response import Response

type Json = dict[str, Any]


class LineMistake(Struct, frozen=True, kw_only=True):
    """What is wrong with a line, and in which of its fields."""

    code: str
    message: str
    param: str | None = None


class CheckedLine(Struct, frozen=True, kw_only=True):
    """A line that can run: its own id, the model that it names, its tokens, and its highest cost in dollars."""

    custom_id: str
    model: str
    worst_cost: Decimal
    input_tokens: int = 0
    output_tokens: int = 0


class AdmittedLine(Struct, frozen=True, kw_only=True):
    """The turn of a line, and whether it has been recorded only now."""

    turn: Response
    is_new: bool


class LineAnswer(Struct, frozen=True, kw_only=True):
    """What the endpoint answers for a line."""

    status: int
    body: Mapping[str, Any]


class BatchRequests(Protocol):
    """Reads and answers the requests in the lines of batches."""

    async def check(self, batch: Batch, content: bytes, *, reads_files: bool) -> CheckedLine | LineMistake:
        """Return what a line asks for, or what is wrong with it; raises Retryable.

        Without `reads_files`, the files that it names count nothing.
        """
        ...

    async def admit(self, batch: Batch, line: int, content: bytes) -> AdmittedLine:
        """Record the turn of a line, once, as one that has begun, and reserve its worst cost.

        Raises Exhausted where a budget has no room, Locked while another turn has its conversation, Invalid and
        NotFound where its endpoint refuses it now, and Retryable.
        """
        ...

    def response_id(self, batch: Batch, line: int, content: bytes) -> str:
        """Return the id of the turn of a line."""
        ...

    def answer(self, batch: Batch, turn: Response, log: Transcript) -> LineAnswer:
        """Return what the endpoint answers for a turn that has ended."""
        ...

    def refusal(self, error: GanglionError) -> LineAnswer:
        """Return what the endpoint answers for a request that it refuses."""
        ...
