"""Which error of the port follows from each reply of Azure Cosmos DB, and when may a request be repeated?"""

from typing import Any

import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
)
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from clients.storage.cosmos.errors import (
    DELAY_HEADER,
    NOT_SET_UP,
    CosmosFailure,
    DocumentRejection,
    RequestFate,
    error_of,
    failure_of,
    rejection_of,
)
from domain.errors import Invalid, Terminal, Unavailable, UnknownOutcome


def reply(status: int, substatus: int = 0, **headers: str) -> CosmosHttpResponseError:
    error: Any = CosmosHttpResponseError(status_code=status, message="no")
    error.sub_status = substatus
    error.headers = {DELAY_HEADER: headers["delay"]} if headers else {}
    return error


@pytest.mark.parametrize(
    ("status", "substatus", "fate"),
    [
        (404, 0, RequestFate.DOCUMENT),
        (404, 1002, RequestFate.NOT_DONE),
        (404, 1003, RequestFate.NOT_SET_UP),
        (403, 3, RequestFate.NOT_DONE),
        (403, 0, RequestFate.REJECTED),
        (408, 0, RequestFate.UNKNOWN),
        (409, 0, RequestFate.DOCUMENT),
        (412, 0, RequestFate.DOCUMENT),
        (413, 0, RequestFate.TOO_LARGE),
        (429, 3200, RequestFate.NOT_DONE),
        (449, 0, RequestFate.NOT_DONE),
        (400, 0, RequestFate.REJECTED),
        (500, 0, RequestFate.UNKNOWN),
        (503, 0, RequestFate.UNKNOWN),
    ],
)
def test_each_status_has_a_fate(status: int, substatus: int, fate: RequestFate) -> None:
    assert CosmosFailure(status=status, substatus=substatus, step=0, delay_s=0.0).fate is fate


@pytest.mark.parametrize(("delay", "seconds"), [("1500", 1.5), ("", 0.0), ("-5", 0.0), ("soon", 0.0)])
def test_a_throttled_request_may_be_repeated_after_the_delay_of_the_reply(delay: str, seconds: float) -> None:
    error = error_of(reply(429, delay=delay), write=True)
    assert isinstance(error, Unavailable)
    assert error.delay_s == seconds


@pytest.mark.parametrize(
    ("error", "of_write", "of_read"),
    [
        (reply(408), UnknownOutcome, Unavailable),
        (reply(500), UnknownOutcome, Unavailable),
        (ServiceResponseError("reset"), UnknownOutcome, Unavailable),
        (reply(410), Unavailable, Unavailable),
        (reply(413), Invalid, Invalid),
        (reply(400), Terminal, Terminal),
        (reply(401), Terminal, Terminal),
        (ClientAuthenticationError("no token"), Unavailable, Unavailable),
        (ServiceRequestTimeoutError("connecting"), Unavailable, Unavailable),
        (ServiceRequestError("sent, then reset", error=OSError()), UnknownOutcome, Unavailable),
    ],
)
def test_only_a_write_that_may_have_been_done_has_an_unknown_outcome(
    error: AzureError, of_write: type[Exception], of_read: type[Exception]
) -> None:
    assert type(error_of(error, write=True)) is of_write
    assert type(error_of(error, write=False)) is of_read


def test_a_missing_container_says_how_it_is_created() -> None:
    assert str(error_of(reply(404, 1003), write=False)) == NOT_SET_UP


def test_a_batch_tells_which_operation_was_rejected() -> None:
    error: Any = CosmosBatchOperationError(
        error_index=2, headers={}, status_code=409, message="", operation_responses=[]
    )
    assert rejection_of(error) == DocumentRejection(step=2, status=409)
    assert rejection_of(reply(412)) == DocumentRejection(step=0, status=412)
    assert rejection_of(reply(429)) is None
    assert rejection_of(ServiceResponseError("reset")) is None


def test_an_error_without_a_reply_carries_none() -> None:
    assert failure_of(OSError()) is None
    assert failure_of(reply(429, 3200, delay="20")) == CosmosFailure(status=429, substatus=3200, step=0, delay_s=0.02)
