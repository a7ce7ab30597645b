"""Does a request make every backend begin a new answer, and does it replay calls as servers accept them?"""

from copy import replace
from typing import Any

import pytest
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter

from clients.backends.chat_request import request_body
from domain.content.items import ImageInput, Item, ItemKind, Role
from domain.content.reasoning import ReasoningInputMode
from domain.fleet.catalog import ContinuationMode
from domain.fleet.request_forms import ServiceTier
from standins.clock import now
from standins.scripted.server import ScriptedModel, TokenPace
from tests.clients.backends.model_server import answer_of, backend_at, call, text_of
from tests.fakes.servers.web_servers import served

QUESTION = Item(id="1", role=Role.USER, text="ECHO a")
ANSWER = Item(id="2", role=Role.ASSISTANT, text="b")
REASONING = Item(id="3", kind=ItemKind.REASONING, text="thinking")
CALL = Item(id="4", kind=ItemKind.FUNCTION_CALL, name="one", call_id="c", text="")
IMAGE = replace(ANSWER, images=(ImageInput(url="data:image/png;base64,AAAA"),))
NEW_ANSWER = {"role": "user", "content": ""}

TRAILING: dict[str, tuple[Item, ...]] = {
    "one message": (QUESTION, ANSWER),
    "two messages": (QUESTION, ANSWER, replace(ANSWER, text="c")),
    "an empty message": (QUESTION, replace(ANSWER, text="")),
    "a message alone": (ANSWER,),
    "a message and reasoning": (QUESTION, ANSWER, REASONING),
    "a message with an image": (QUESTION, IMAGE),
    "a call without a result": (QUESTION, CALL),
}


def messages_for(items: tuple[Item, ...], continues: ContinuationMode, **more: Any) -> list[dict[str, Any]]:
    body = request_body(backend_at("http://model/v1", continues=continues), replace(call(), items=items, **more))
    return body["messages"]


@pytest.mark.parametrize("by_schema", [False, True])
@pytest.mark.parametrize("continues", ContinuationMode)
@pytest.mark.parametrize("items", TRAILING.values(), ids=TRAILING)
def test_an_empty_user_message_follows_a_trailing_assistant_message(
    items: tuple[Item, ...],
    continues: ContinuationMode,
    by_schema: bool,  # noqa: FBT001 - a column of the table
) -> None:
    *earlier, last = messages_for(items, continues, by_schema=by_schema)
    assert last == NEW_ANSWER
    assert earlier[-1]["role"] == "assistant"


@pytest.mark.parametrize("continues", ContinuationMode)
def test_a_conversation_that_ends_with_the_user_stays_as_it_is(continues: ContinuationMode) -> None:
    messages = messages_for((QUESTION, ANSWER, QUESTION), continues)
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize("continues", [ContinuationMode.ASSISTANT_PREFILL, ContinuationMode.CONTINUE_FINAL_MESSAGE])
def test_a_partial_answer_is_the_only_assistant_message_that_is_continued(continues: ContinuationMode) -> None:
    *_, caller, separator, partial = messages_for((QUESTION, ANSWER), continues, partial="a ne")
    assert (caller["content"], separator, partial) == ("b", NEW_ANSWER, {"role": "assistant", "content": "a ne"})


@pytest.mark.parametrize("continues", [True, False], ids=["continues", "cannot continue"])
@pytest.mark.parametrize("items", [(QUESTION, ANSWER), (QUESTION, replace(ANSWER, text="a, and"))])
async def test_a_server_that_continues_trailing_messages_gives_a_new_answer(
    items: tuple[Item, ...],
    continues: bool,  # noqa: FBT001 - a column of the table
) -> None:
    model = ScriptedModel(pace=TokenPace(rate=0), continues=continues, clock=now)
    async with served(model.application()) as url:
        assert text_of(await answer_of(backend_at(f"{url}/v1"), replace(call(), items=items))) == "a"


def test_a_model_without_functions_is_instructed_to_answer() -> None:
    output = Item(id="5", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="done", call_id="c")
    held = replace(call(), items=(QUESTION, CALL, output), by_schema=True, is_held=True)
    body = request_body(backend_at("http://model/v1"), held)
    assert '{"answer"' in body["messages"][0]["content"]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["answer"]


@pytest.mark.parametrize(("arguments", "replayed"), [("", "{}"), (" ", "{}"), ('{"x":1}', '{"x":1}')])
def test_a_call_is_replayed_with_arguments_that_are_json(arguments: str, replayed: str) -> None:
    output = Item(id="5", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="done", call_id="c")
    items = (QUESTION, replace(CALL, text=arguments), output)
    (native,) = messages_for(items, ContinuationMode.NO)[2]["tool_calls"]
    assert native["function"] == {"name": "one", "arguments": replayed}
    as_text = messages_for(items, ContinuationMode.NO, by_schema=True)[2]["content"]
    assert as_text == f'{{"calls": [{{"name": "one", "arguments": {replayed}}}]}}'


THOUGHT = Item(id="6", kind=ItemKind.REASONING, text="hm")
LOOKED = Item(id="7", kind=ItemKind.FUNCTION_CALL, name="look", call_id="c", text="{}")
FOUND = Item(id="8", kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="done", call_id="c")


def replayed(items: tuple[Item, ...], reasoning_input: ReasoningInputMode) -> list[dict[str, Any]]:
    backend = replace(backend_at("http://model/v1"), reasoning_input=reasoning_input)
    return request_body(backend, replace(call(), items=items, instructions=None))["messages"]


@pytest.mark.parametrize("field", [ReasoningInputMode.REASONING, ReasoningInputMode.REASONING_CONTENT])
def test_the_reasoning_before_calls_goes_back_to_a_backend_that_takes_it(field: ReasoningInputMode) -> None:
    _, alone, _, with_text, _ = replayed((QUESTION, THOUGHT, LOOKED, FOUND, THOUGHT, ANSWER, LOOKED, FOUND), field)
    assert (alone[field.value], alone["content"], len(alone["tool_calls"])) == ("hm", None, 1)
    assert (with_text[field.value], with_text["content"], len(with_text["tool_calls"])) == ("hm", "b", 1)


def test_what_the_user_said_meanwhile_follows_the_result_of_the_call() -> None:
    messages = replayed((QUESTION, LOOKED, QUESTION, FOUND), ReasoningInputMode.NO)
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "user"]


def test_reasoning_stays_away_from_a_backend_that_does_not_take_it() -> None:
    messages = replayed((QUESTION, THOUGHT, LOOKED, FOUND), ReasoningInputMode.NO)
    assert [set(each) for each in messages[1:2]] == [{"role", "content", "tool_calls"}]


def test_reasoning_before_the_last_question_is_not_sent_again() -> None:
    messages = replayed((QUESTION, THOUGHT, ANSWER, QUESTION), ReasoningInputMode.REASONING)
    assert messages == [
        {"role": "user", "content": "ECHO a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "ECHO a"},
    ]


def test_a_refusal_is_replayed_as_text() -> None:
    messages = replayed((QUESTION, replace(ANSWER, text="", refusal="No."), QUESTION), ReasoningInputMode.NO)
    assert messages[1] == {"role": "assistant", "content": "No."}


@pytest.mark.parametrize("tier", [None, ServiceTier.FLEX])
def test_a_request_names_the_tier_of_its_backend_as_the_sdk_s_types_have_it(tier: ServiceTier | None) -> None:
    body = request_body(replace(backend_at("http://model/v1"), service_tier=tier), call())
    adapter: TypeAdapter[Any] = TypeAdapter(CompletionCreateParamsStreaming)
    assert adapter.validate_python(body).get("service_tier") == tier
