"""Does a response object match the specification in every state of its turn?"""

from copy import replace

import pytest
from openai.types.responses import Response as SdkResponse
from openresponses_types.types import ResponseResource
from pydantic import TypeAdapter

from api.rendering.response import ENDING_KEY, Json, openai_from_response
from domain.content.items import Item, ItemKind, ItemStatus
from domain.log.events import Ending, ResponseStatus, TokenUsage
from domain.log.transcript import Transcript
from domain.turns.response import Response, ResponseHistory, ResponseOptions, Sampling
from tests.fakes.worlds import OWNER

THREAD, OWN = "a" * 24, "b" * 24
RESPONSE = Response(
    id=f"resp_{THREAD}{OWN}",
    owner=OWNER,
    created_at=1_800_000_000.75,
    deadline_at=1_800_001_800.0,
    options=ResponseOptions(model="auto", metadata={"a": "b"}),
)
MESSAGE = Item(id=f"msg_{THREAD}{OWN}", text="hello")
CALL = Item(id=f"fc_{THREAD}{OWN}", kind=ItemKind.FUNCTION_CALL, text="{}", name="f", call_id="call_1")
THOUGHT = Item(id=f"rs_{THREAD}{OWN}", kind=ItemKind.REASONING, text="hm")
USAGE = TokenUsage(input_tokens=11, cached_tokens=3, output_tokens=5, reasoning_tokens=2)

REQUIRED = {name for name, field in ResponseResource.model_fields.items() if field.is_required()}


def ended(status: ResponseStatus, code: str = "", message: str = "", *items: Item) -> Transcript:
    ending = Ending(status=status, at=1_800_000_009.5, code=code, message=message, usage=USAGE)
    return Transcript(status=status, items=items, ending=ending)


LOGS = {
    "just admitted": Transcript(),
    "running": Transcript(
        status=ResponseStatus.IN_PROGRESS, items=(replace(MESSAGE, status=ItemStatus.IN_PROGRESS, text="he"),)
    ),
    "completed": ended(ResponseStatus.COMPLETED, "", "", THOUGHT, CALL, MESSAGE),
    "incomplete": ended(
        ResponseStatus.INCOMPLETE, "max_output_tokens", "", replace(MESSAGE, status=ItemStatus.INCOMPLETE)
    ),
    "out of time": ended(ResponseStatus.INCOMPLETE, "deadline_exceeded"),
    "failed": ended(ResponseStatus.FAILED, "server_error", "No backend could."),
    "failed with a code of our own": ended(ResponseStatus.FAILED, "no_backend_feasible", "No backend could."),
    "cancelled": ended(ResponseStatus.CANCELLED),
}


@pytest.mark.parametrize("log", LOGS.values(), ids=LOGS)
@pytest.mark.parametrize("background", [True, False])
def test_every_state_has_the_keys_and_types_of_the_specification(log: Transcript, background: bool) -> None:  # noqa: FBT001 - parametrized
    body = openai_from_response(replace(RESPONSE, options=replace(RESPONSE.options, background=background)), log)
    assert set(body) == REQUIRED
    assert len(REQUIRED) == 31
    assert ResponseResource.model_validate(body).id == RESPONSE.id
    read = TypeAdapter(SdkResponse).validate_python(body)
    assert read.status == body["status"]
    assert read.output_text == "".join(item.text for item in log.items if item.kind is ItemKind.MESSAGE)


def test_a_completed_response_has_its_time_and_usage() -> None:
    body = openai_from_response(RESPONSE, LOGS["completed"])
    assert (body["status"], body["created_at"], body["completed_at"]) == ("completed", 1_800_000_000, 1_800_000_009)
    assert body["usage"] == {
        "input_tokens": 11,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 16,
    }
    assert [item["type"] for item in body["output"]] == ["reasoning", "function_call", "message"]
    assert body["error"] is None


ENDINGS: dict[str, Json] = {
    "incomplete": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "error": None},
    "out of time": {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "metadata": {"a": "b", ENDING_KEY: "deadline_exceeded"},
    },
    "failed": {
        "status": "failed",
        "error": {"code": "server_error", "message": "No backend could."},
        "metadata": {"a": "b"},
    },
    "failed with a code of our own": {
        "error": {"code": "server_error", "message": "No backend could."},
        "metadata": {"a": "b", ENDING_KEY: "no_backend_feasible"},
    },
    "cancelled": {"status": "cancelled", "error": None, "incomplete_details": None},
}


@pytest.mark.parametrize("name", ENDINGS)
def test_an_ending_uses_the_codes_of_the_specification(name: str) -> None:
    body = openai_from_response(RESPONSE, LOGS[name])
    assert {key: body[key] for key in ENDINGS[name]} == ENDINGS[name]
    assert body["completed_at"] is None


def test_only_a_background_response_is_shown_as_queued() -> None:
    assert (
        openai_from_response(replace(RESPONSE, options=replace(RESPONSE.options, background=True)), Transcript())[
            "status"
        ]
        == "queued"
    )
    assert openai_from_response(RESPONSE, Transcript())["status"] == "in_progress"


def test_request_fields_are_returned_with_their_defaults() -> None:
    asked = replace(
        RESPONSE,
        options=replace(
            RESPONSE.options,
            instructions="be brief",
            sampling=Sampling(temperature=0.0, top_p=0.5, max_output_tokens=9),
            store=False,
        ),
        history=ResponseHistory(previous=f"resp_{THREAD}{'c' * 24}"),
    )
    body = openai_from_response(asked, Transcript())
    assert (body["temperature"], body["top_p"], body["max_output_tokens"]) == (0.0, 0.5, 9)
    assert (body["instructions"], body["previous_response_id"], body["store"]) == (
        "be brief",
        asked.history.previous,
        False,
    )
    plain = openai_from_response(RESPONSE, Transcript())
    assert (plain["temperature"], plain["top_p"], plain["max_output_tokens"]) == (1.0, 1.0, None)


def test_only_the_last_item_of_a_restarted_answer_is_returned() -> None:
    abandoned = replace(MESSAGE, id=f"msg_{THREAD}{'d' * 24}", status=ItemStatus.INCOMPLETE)
    body = openai_from_response(RESPONSE, ended(ResponseStatus.COMPLETED, "", "", abandoned, MESSAGE))
    assert [item["id"] for item in body["output"]] == [MESSAGE.id]
