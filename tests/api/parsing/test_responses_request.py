"""Is every request parsed correctly, or rejected with the field that is wrong?"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.parsing.field_rules import RESPONSE_FIELDS
from api.parsing.responses_request import DEADLINE_LIMIT_MS, TurnRequest, request_from_openai
from domain.errors import Invalid
from domain.turns.response import Sampling

WRONG_FIELDS: list[tuple[str, Any, str]] = [
    ("model", 1, "invalid_type"),
    ("model", "", "invalid_value"),
    ("model", "x" * 201, "invalid_value"),
    ("instructions", ["be brief"], "invalid_type"),
    ("previous_response_id", 3, "invalid_type"),
    ("stream", "true", "invalid_type"),
    ("background", 1, "invalid_type"),
    ("store", "no", "invalid_type"),
    ("temperature", "0", "invalid_type"),
    ("temperature", True, "invalid_type"),
    ("temperature", -0.1, "invalid_value"),
    ("temperature", 2.1, "invalid_value"),
    ("top_p", 1.5, "invalid_value"),
    ("max_output_tokens", 1.0, "invalid_type"),
    ("max_output_tokens", 15, "invalid_value"),
    ("max_tool_calls", 0, "invalid_value"),
    ("prompt_cache_key", 7, "invalid_type"),
    ("safety_identifier", "x" * 513, "invalid_value"),
    ("service_tier", "fastest", "invalid_value"),
    ("max_output_tokens", 10**12, "invalid_value"),
    ("metadata", [], "invalid_type"),
    ("metadata", {str(number): "" for number in range(17)}, "invalid_value"),
]

WRONG_METADATA: list[tuple[str, Any]] = [
    ("a", 1),
    ("a", None),
    ("a", "x" * 513),
    ("k" * 65, "x"),
    ("deadline_ms", "0"),
    ("deadline_ms", "-5"),
    ("deadline_ms", "1.5"),
    ("deadline_ms", "soon"),
    ("deadline_ms", "٣"),
    ("deadline_ms", str(DEADLINE_LIMIT_MS + 1)),
    ("deadline_ms", "9" * 400),
]


@pytest.mark.parametrize(("name", "value", "code"), WRONG_FIELDS)
def test_an_invalid_field_is_named(name: str, value: Any, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_openai({"input": "hi", name: value})
    assert (caught.value.field, caught.value.code) == (name, code)
    assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize(("key", "value"), WRONG_METADATA)
def test_invalid_metadata_is_rejected_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        request_from_openai({"input": "hi", "metadata": {key: value}})
    assert caught.value.field == f"metadata.{key}"


def test_a_turn_without_input_continues_the_previous_one() -> None:
    assert request_from_openai({"previous_response_id": "resp_1"}).input_items == ()


def test_absent_and_null_mean_the_same() -> None:
    names = ("model", "instructions", "stream", "background", "store", "temperature", "top_p", "metadata")
    assert request_from_openai({"input": "hi", **dict.fromkeys(names)}) == request_from_openai({"input": "hi"})


def test_every_field_is_honoured() -> None:
    request = request_from_openai(
        {
            "input": "hi",
            "model": "small@here",
            "instructions": "be brief",
            "previous_response_id": "resp_1",
            "stream": True,
            "background": True,
            "store": False,
            "temperature": 0,
            "top_p": 0.5,
            "max_output_tokens": 17,
            "metadata": {"deadline_ms": "1500", "a": ""},
            "user": "me",
        }
    )
    assert (request.model, request.instructions, request.previous) == ("small@here", "be brief", "resp_1")
    assert (request.stream, request.background, request.store) == (True, True, False)
    assert request.sampling == Sampling(temperature=0, top_p=0.5, max_output_tokens=17)
    assert (request.metadata, request.deadline_s) == ({"deadline_ms": "1500", "a": ""}, 1.5)
    assert request.ignored == ("user",)


WORDS = (
    st.sampled_from(["message", "user", "assistant", "input_text", "item_reference", "deadline_ms", "5"]) | st.text()
)
NAMES = st.sampled_from(["type", "role", "content", "text", "id", "output", "call_id", "format", "effort", "summary"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(), inner, max_size=5),
    max_leaves=15,
)
FIELDS = st.sampled_from([name for name in RESPONSE_FIELDS if "." not in name])


@given(st.dictionaries(FIELDS | st.text(), JSON, max_size=6), st.none() | st.just("hi") | JSON)
def test_any_object_is_parsed_or_rejected_with_a_message_and_code(body: dict[str, Any], text: Any) -> None:
    try:
        request = request_from_openai({**body, "input": text})
    except Invalid as error:
        message, code = str(error), error.code
    else:
        assert isinstance(request, TurnRequest)
        return
    assert message
    assert code


def test_notes_of_the_service_that_a_client_sends_back_are_dropped_and_named() -> None:
    metadata = {"topic": "sea", "ganglion_budget": "80 %", "ganglion_ending": "cancelled"}
    request = request_from_openai({"input": "hi", "metadata": metadata})
    assert request.metadata == {"topic": "sea"}
    assert request.ignored == ("metadata.ganglion_budget", "metadata.ganglion_ending")
