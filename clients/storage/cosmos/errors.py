"""What does an answer of Azure Cosmos DB, or its absence, mean to the store?

409, 412 and 404 are answers about documents, for the store to read. Every other failure becomes an error here, in one
table: not done (it may be tried again), unknown (it may have been done), or terminal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceRequestTimeoutError
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from domain.errors import GanglionError, Invalid, Terminal, Unavailable, UnknownOutcome

CONTAINER_MISSING = 1003
DELAY_HEADER = "x-ms-retry-after-ms"
MS = 1000
NOT_SET_UP = "the store is not set up: python -m clients.storage.cosmos.setup creates what is missing"


class RequestFate(StrEnum):
    """What became of a request that failed."""

    DOCUMENT = "the answer is about a document"
    NOT_DONE = "not done, may be tried again"
    UNKNOWN = "perhaps done"
    TOO_LARGE = "too large"
    REJECTED = "refused for good"
    NOT_SET_UP = "the database or the container is missing"


FATES: dict[int, RequestFate] = {
    401: RequestFate.REJECTED,
    403: RequestFate.REJECTED,
    404: RequestFate.DOCUMENT,
    408: RequestFate.UNKNOWN,
    409: RequestFate.DOCUMENT,
    410: RequestFate.NOT_DONE,
    412: RequestFate.DOCUMENT,
    413: RequestFate.TOO_LARGE,
    429: RequestFate.NOT_DONE,
    449: RequestFate.NOT_DONE,
}
# A status with a substatus of its own meaning: a lagging replica, a missing container, a region that writes no more.
SPECIAL: dict[tuple[int, int], RequestFate] = {
    (404, 1002): RequestFate.NOT_DONE,
    (404, CONTAINER_MISSING): RequestFate.NOT_SET_UP,
    (403, 3): RequestFate.NOT_DONE,
    (403, 1008): RequestFate.NOT_DONE,
}
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class CosmosFailure:
    """What the service said to a request it did not do: `step` is the operation's place in the batch."""

    status: int
    substatus: int
    step: int
    delay_s: float

    @property
    def fate(self) -> RequestFate:
        special = SPECIAL.get((self.status, self.substatus))
        return (
            special
            or FATES.get(self.status)
            or (RequestFate.UNKNOWN if self.status >= SERVER_ERROR else RequestFate.REJECTED)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRejection:
    """What a document refused: `step` is the operation's place in the batch, `status` 404, 409 or 412."""

    step: int
    status: int


ERRORS: dict[RequestFate, Callable[[CosmosFailure], GanglionError]] = {
    RequestFate.NOT_DONE: lambda said: Unavailable(f"the store is busy (status {said.status})", delay_s=said.delay_s),
    RequestFate.TOO_LARGE: lambda _: Invalid("a document is too large for the store"),
    RequestFate.NOT_SET_UP: lambda _: Terminal(
        "the store is not set up: python -m clients.storage.cosmos.setup creates what is missing"
    ),
}


def failure_of(error: Any) -> CosmosFailure | None:
    """Return the answer that an error of the SDK carries; None where there was none."""
    if not isinstance(error, CosmosHttpResponseError | CosmosBatchOperationError):
        return None
    told = cast("Any", error)
    headers = cast("dict[str, str]", told.headers or {})
    text = headers.get(DELAY_HEADER) or "0"
    return CosmosFailure(
        status=told.status_code or SERVER_ERROR,
        substatus=told.sub_status or 0,
        step=getattr(told, "error_index", 0) or 0,
        delay_s=int(text) / MS if text.isdecimal() else 0.0,
    )


def rejection_of(error: AzureError) -> DocumentRejection | None:
    """Return what a document refused; None where the failure is another."""
    said = failure_of(error)
    return DocumentRejection(step=said.step, status=said.status) if said and said.fate is RequestFate.DOCUMENT else None


def error_of(error: AzureError, *, write: bool) -> GanglionError:
    """Return the port's error for a request that was not answered with an answer about documents."""
    if isinstance(error, ClientAuthenticationError):
        return Unavailable("the store could not be asked: no token was to be had")
    if isinstance(error, ServiceRequestError) and never_sent(error):
        return Unavailable("the store can't be reached")
    said = failure_of(error)
    if said is None or said.fate is RequestFate.UNKNOWN:
        return UnknownOutcome("the store's answer was lost") if write else Unavailable("the store did not answer")
    make = ERRORS.get(said.fate)
    return make(said) if make else Terminal(f"the store refused a request with status {said.status}")


def never_sent(error: ServiceRequestError) -> bool:
    """Say whether no connection was had; azure-core calls every failure of a connection an error of the request."""
    if isinstance(error, ServiceRequestTimeoutError):
        return True
    return any(each.__name__ == "ClientConnectorError" for each in type(error.inner_exception).__mro__)
