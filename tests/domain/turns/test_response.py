"""Does a response survive being stored, and does its life go one way?"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.turns.response import Response, ResponseOptions
from tests.domain import logs
from tests.domain.logs import through_json

THREAD, OWN = "a" * 24, "b" * 24


@given(logs.responses)
def test_a_response_is_read_as_it_was_written(response: Response) -> None:
    assert Response.from_document(response.id, through_json(response.to_document())) == response


@given(logs.responses)
def test_a_response_is_found_by_its_kind_status_and_age(response: Response) -> None:
    document = response.to_document()
    assert (document["kind"], document["status"], document["at"]) == (
        "response",
        response.status.value,
        response.created_at,
    )


@given(logs.responses, st.text(), logs.moments)
def test_a_response_that_began_names_its_execution_and_changes_nothing_else(
    response: Response, execution: str, at: float
) -> None:
    begun = response.begun(execution=execution, at=at)
    changes = {"status": ResponseStatus.IN_PROGRESS.value, "execution": execution, "begun_at": at}
    assert begun.to_document() == response.to_document() | changes


@given(logs.responses, logs.terminal, logs.moments, st.lists(st.text()).map(tuple))
def test_a_response_that_ended_names_its_output_and_changes_nothing_else(
    response: Response, status: ResponseStatus, at: float, output_items: tuple[str, ...]
) -> None:
    ended = response.ended(status=status, at=at, output_items=output_items)
    changes = {"status": status.value, "ended_at": at, "output_items": list(output_items)}
    assert ended.to_document() == response.to_document() | changes


def response(identifier: str) -> Response:
    return Response(
        id=identifier,
        owner=Owner(tenant="t", subject="s"),
        created_at=0,
        deadline_at=1,
        options=ResponseOptions(model="m"),
    )


def test_a_response_knows_its_thread_and_its_own_token() -> None:
    one = response(f"resp_{THREAD}{OWN}")
    assert (one.thread, one.token) == (THREAD, OWN)


@pytest.mark.parametrize("identifier", ["", "resp_1", f"resp_{THREAD}"])
def test_a_response_with_a_foreign_id_has_no_thread(identifier: str) -> None:
    with pytest.raises(ValueError, match="is not the id of a response"):
        _ = response(identifier).thread
    with pytest.raises(ValueError, match="is not the id of a response"):
        _ = response(identifier).token


def test_a_new_response_is_queued_in_the_foreground_and_stored() -> None:
    one = response(f"resp_{THREAD}{OWN}")
    assert (one.status, one.options.background, one.options.store, one.progress.execution) == (
        ResponseStatus.QUEUED,
        False,
        True,
        None,
    )
