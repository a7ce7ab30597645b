"""What does a failed request to Azure Cosmos DB mean for the store?

404, 409 and 412 are about documents, and the store handles them. One table turns every other status into an error: not
done (the request may be repeated), unknown (it may have been done), or terminal.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, cast

from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceRequestTimeoutError
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError
from msgspec import Struct

from domain.errors import GanglionError, Invalid, Terminal, Unavailable, UnknownOutcome
from telemetry.metrics import count_throttle

CONTAINER_MISSING = 1003
DELAY_HEADER = "x-ms-retry-after-ms"
MS = 1000
NOT_SET_UP = "the store is not set up: python -m clients.storage.cosmos.setup creates what is missing"


class RequestFate(StrEnum):
    """What happened to a request that failed."""

    DOCUMENT = "about a document"
    NOT_DONE = "not done, may be repeated"
    UNKNOWN = "may have been done"
    TOO_LARGE = "too large"
    REJECTED = "rejected"
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
# A status whose substatus changes its meaning: a lagging replica, a missing container, a region that lost its writes.
SPECIAL: dict[tuple[int, int], RequestFate] = {
    (404, 1002): RequestFate.NOT_DONE,
    (404, CONTAINER_MISSING): RequestFate.NOT_SET_UP,
    (403, 3): RequestFate.NOT_DONE,
    (403, 1008): RequestFate.NOT_DONE,
}
SERVER_ERROR = 500
THROTTLED = 429


class CosmosFailure(Struct, frozen=True, kw_only=True):
    """The reply to a failed request; `step` is the index of the failed operation in the batch."""

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


class DocumentRejection(Struct, frozen=True, kw_only=True):
    """The operation that a document's state rejected: its index in the batch, and the status 404, 409 or 412."""

    step: int
    status: int


ERRORS: dict[RequestFate, Callable[[CosmosFailure], GanglionError]] = {
    RequestFate.NOT_DONE: lambda failure: Unavailable(
        f"the store is busy (status {failure.status})", delay_s=failure.delay_s
    ),
    RequestFate.TOO_LARGE: lambda _: Invalid("a document is too large for the store"),
    RequestFate.NOT_SET_UP: lambda _: Terminal(NOT_SET_UP),
}


def failure_of(error: Any) -> CosmosFailure | None:
    """Return the reply that an error of the SDK carries; None where there was no reply."""
    if not isinstance(error, CosmosHttpResponseError | CosmosBatchOperationError):
        return None
    reply = cast("Any", error)
    headers = cast("dict[str, str]", reply.headers or {})
    text = headers.get(DELAY_HEADER) or "0"
    return CosmosFailure(
        status=reply.status_code or SERVER_ERROR,
        substatus=reply.sub_status or 0,
        step=getattr(reply, "error_index", 0) or 0,
        delay_s=int(text) / MS if text.isdecimal() else 0.0,
    )


def rejection_of(error: AzureError) -> DocumentRejection | None:
    """Return what the state of a document rejected; None for every other failure."""
    failure = failure_of(error)
    return (
        DocumentRejection(step=failure.step, status=failure.status)
        if failure and failure.fate is RequestFate.DOCUMENT
        else None
    )


def error_of(error: AzureError, *, write: bool) -> GanglionError:
    """Return the port's error for a failure that is not about a document."""
    if isinstance(error, ClientAuthenticationError):
        return Unavailable("the store cannot be reached: no access token was issued")
    if isinstance(error, ServiceRequestError) and never_sent(error):
        return Unavailable("the store cannot be reached")
    failure = failure_of(error)
    if failure is None or failure.fate is RequestFate.UNKNOWN:
        return (
            UnknownOutcome("the store's reply to a write was lost")
            if write
            else Unavailable("the store did not answer")
        )
    if failure.status == THROTTLED:
        count_throttle()
    make = ERRORS.get(failure.fate)
    return make(failure) if make else Terminal(f"the store rejected a request with status {failure.status}")


def never_sent(error: ServiceRequestError) -> bool:
    """Return whether no connection was made; azure-core reports every connection failure as an error of the request."""
    if isinstance(error, ServiceRequestTimeoutError):
        return True
    return any(each.__name__ == "ClientConnectorError" for each in type(error.inner_exception).__mro__)
