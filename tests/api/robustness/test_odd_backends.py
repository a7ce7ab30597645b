"""Do callers get what odd backends mean, through the whole product and the official SDK?

The backend is a stand-in that streams what public reports show, over a socket.
"""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import replace
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from clients.backends.formats.think_tags import with_reasoning_split
from domain.content.capabilities import Capability
from domain.content.reasoning import ReasoningFormat
from standins.odd.answers import ANSWERS
from standins.odd.server import OddBackend
from tests.api.abilities.test_tools import able
from tests.api.harness import Api
from tests.api.test_sdk import sdk
from tests.clients.backends.model_server import backend_at
from tests.fakes.backends import http_backend
from tests.fakes.servers.web_servers import served

pytestmark = pytest.mark.slow

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
STRICT: Any = {"format": {"type": "json_schema", "name": "place", "schema": CITY, "strict": True}}
TOOLS: Any = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("one", "two")]
CHAT_TOOLS: Any = [{"type": "function", "function": {"name": name}} for name in ("one", "two")]
REASONING = {
    name: ReasoningFormat.THINK_TAGS_OPEN if name == "think-tags-open" else ReasoningFormat.THINK_TAGS
    for name in ANSWERS
    if name.startswith("think-tags")
}
"""The option of the backend that these answers need; all others have none."""

HI: Any = [{"role": "user", "content": "hi"}]


@asynccontextmanager
async def odd_api(name: str, reasoning: ReasoningFormat | None = None) -> AsyncGenerator[Api]:
    """Serve the answer of this name, and give an API whose only backend is its server."""
    async with served(OddBackend().application()) as url, httpx.AsyncClient(trust_env=False) as http:
        backend = replace(backend_at(f"{url}/v1"), served_model=name)
        streams = ANSWERS[name].content_type == "text/event-stream"
        client = http_backend(replace(backend, streams=streams), http, silence_s=5)
        split = with_reasoning_split(client, reasoning or REASONING.get(name, ReasoningFormat.FIELDS))
        yield able(split, Capability.TOOLS, Capability.JSON_SCHEMA)


@asynccontextmanager
async def odd_sdk(name: str, reasoning: ReasoningFormat | None = None) -> AsyncGenerator[AsyncOpenAI]:
    async with odd_api(name, reasoning) as one, sdk(one, max_retries=0) as client:
        yield client


def shown(output: list[Any]) -> list[tuple[str, ...]]:
    """Return the type and the content of each item; of a message its parts."""
    found: list[tuple[str, ...]] = []
    for item in output:
        match item.type:
            case "message":
                found += [
                    (part.type, part.text if part.type == "output_text" else part.refusal) for part in item.content
                ]
            case "reasoning":
                found.append(("reasoning", "".join(part.text for part in item.summary)))
            case kind:
                found.append((kind, item.name, item.arguments))
    return found


ONE, TWO = ("function_call", "one", '{"x":1}'), ("function_call", "two", '{"y":2}')
NO_ARGUMENTS = ("function_call", "one", "{}")
HELLO = ("output_text", "Hello.")
NO = ("refusal", "I can't help with that.")
THOUGHT, ANSWER = ("reasoning", "I think hard."), ("output_text", "Forty-two.")

OUTPUTS: list[tuple[str, list[tuple[str, ...]]]] = [
    ("calls-index-0 calls-no-index calls-in-one-frame calls-no-ids calls-stop calls-in-pieces", [ONE, TWO]),
    ("call-legacy", [ONE]),
    ("call-empty-arguments call-null-arguments call-blank-arguments", [NO_ARGUMENTS]),
    ("no-done no-usage usage-null role-first no-choices-first crlf comments not-streamed-parts", [HELLO]),
    ("two-halves", [("output_text", "\U0001f600")]),
    ("refusal refusal-beside-null refusal-part", [NO]),
    ("refusal-after-text", [("output_text", "Well. "), NO]),
    (
        "reasoning-content reasoning reasoning-uncounted reasoning-apart reasoning-twice reasoning-parts",
        [THOUGHT, ANSWER],
    ),
    ("think-tags think-tags-in-pieces think-tags-in-one-piece think-tags-open", [THOUGHT, ANSWER]),
    ("think-tags-not-streamed", [THOUGHT, ANSWER]),
    ("think-tags-empty", [ANSWER]),
    ("think-tags-json", [THOUGHT, ("output_text", '{"city": "Oslo"}')]),
    ("reasoning-then-call think-tags-then-call", [THOUGHT, ONE]),
]
COMPLETED = {name: items for names, items in OUTPUTS for name in names.split()}
INCOMPLETE = {
    "finish-length": ("max_output_tokens", [("output_text", "Half an ans")]),
    "finish-filter": ("content_filter", [("output_text", "Half an ans")]),
    "reasoning-cut": ("max_output_tokens", [("reasoning", "I think")]),
    "think-tags-cut": ("max_output_tokens", [("reasoning", "I think</th")]),
}
FAILED = {
    **{f"finish-{word}": f"finish reason '{word}'" for word in ("abort", "error", "eos_token")},
    "finish-none": "truncated",
    "error-in-stream": "bad frame",
    "login-page": "does not speak the expected protocol",
    **dict.fromkeys(("refused-schema", "refused-detail", "refused-text"), "rejects the request"),
}
FORMATS = {"prose": "JSON", "half-json": "JSON", "other-json": "city", "fenced-json": "JSON"}
OF_THE_FORM = {"json": "completed", "cut-json": "incomplete", "refusal": "completed"}


def test_every_odd_answer_is_tried() -> None:
    assert {*COMPLETED, *INCOMPLETE, *FAILED, *FORMATS, *OF_THE_FORM} == set(ANSWERS)


@pytest.mark.parametrize(("name", "items"), COMPLETED.items(), ids=COMPLETED)
async def test_an_odd_answer_completes_a_turn(name: str, items: list[tuple[str, ...]]) -> None:
    async with odd_sdk(name) as client:
        made = await client.responses.create(model="auto", input="hi", tools=TOOLS)
        async with client.responses.stream(model="auto", input="hi", tools=TOOLS) as stream:
            events = [event async for event in stream]
            gathered = await stream.get_final_response()
    assert (made.status, shown(made.output)) == ("completed", items)
    assert shown(list(gathered.output)) == items
    assert [event.sequence_number for event in events] == list(range(len(events)))
    ids = [item.call_id for item in made.output if item.type == "function_call"]
    assert len({*ids}) == len(ids)
    assert all(ids)  # may be empty: most answers call no tool


@pytest.mark.parametrize(("name", "ending"), INCOMPLETE.items(), ids=INCOMPLETE)
async def test_an_answer_that_was_cut_is_incomplete(name: str, ending: tuple[str, list[tuple[str, ...]]]) -> None:
    async with odd_sdk(name) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert made.incomplete_details
    assert (made.incomplete_details.reason, shown(made.output)) == ending


@pytest.mark.parametrize(("name", "reason"), FAILED.items(), ids=FAILED)
async def test_an_answer_that_did_not_end_well_fails_the_turn(name: str, reason: str) -> None:
    async with odd_sdk(name) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert made.status == "failed"
    assert made.error
    assert reason in made.error.message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refused-schema", "Invalid schema: no type in 'city'"),
        ("refused-detail", "Invalid schema: no type in 'city'"),
        ("refused-text", "Invalid schema: no type in 'city' [0m"),
        ("error-in-stream", "CUDA out of memory"),
        ("login-page", "Sign in"),
        ("finish-abort", None),
    ],
)
async def test_the_report_of_a_turn_has_what_the_backend_said(name: str, message: str | None) -> None:
    async with odd_api(name) as one, sdk(one, max_retries=0) as client:
        made = await client.responses.create(model="auto", input="hi")
        report = (await one.http.get(f"/v1/responses/{made.id}/route")).json()
    assert {attempt.get("backend_message") for attempt in report["attempts"]} == {message}


@pytest.mark.parametrize(("name", "problem"), FORMATS.items(), ids=FORMATS)
async def test_an_answer_of_another_form_fails_the_turn(name: str, problem: str) -> None:
    async with odd_sdk(name) as client:
        made = await client.responses.create(model="auto", input="hi", text=STRICT)
    assert made.error
    assert problem in made.error.message


@pytest.mark.parametrize(("name", "status"), OF_THE_FORM.items(), ids=OF_THE_FORM)
async def test_an_answer_of_the_form_ends_as_it_should(name: str, status: str) -> None:
    async with odd_sdk(name) as client:
        made = await client.responses.create(model="auto", input="hi", text=STRICT)
    assert made.status == status


@pytest.mark.parametrize(
    ("name", "output", "reasoning"),
    [
        ("reasoning-content", 5, 3),
        ("reasoning", 5, 3),
        ("reasoning-uncounted", 5, 2),
        ("reasoning-apart", 8, 3),
        ("reasoning-twice", 5, 3),
        ("think-tags", 5, 2),
        ("think-tags-empty", 5, 0),
        ("no-choices-first", 5, 0),
    ],
)
async def test_the_usage_of_a_turn_has_the_tokens_of_its_reasoning(name: str, output: int, reasoning: int) -> None:
    async with odd_sdk(name) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert made.usage
    assert (made.usage.output_tokens, made.usage.output_tokens_details.reasoning_tokens) == (output, reasoning)


@pytest.mark.parametrize("name", ["calls-index-0", "calls-no-index", "calls-no-ids"])
async def test_a_streamed_chat_has_both_calls(name: str) -> None:
    async with odd_sdk(name) as client:
        asked = client.chat.completions.stream(model="auto", messages=HI, tools=CHAT_TOOLS)
        async with asked as stream:
            final = await stream.get_final_completion()
    calls = final.choices[0].message.tool_calls or []
    assert [(call.function.name, call.function.arguments) for call in calls] == [ONE[1:], TWO[1:]]
    assert final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("name", ["refusal", "refusal-beside-null", "refusal-part"])
async def test_a_chat_has_the_refusal(name: str) -> None:
    async with odd_sdk(name) as client:
        made = await client.chat.completions.create(model="auto", messages=HI)
    assert (made.choices[0].message.refusal, made.choices[0].message.content) == (NO[1], None)


@pytest.mark.parametrize("name", ["think-tags", "think-tags-in-pieces", "think-tags-in-one-piece", "think-tags-open"])
async def test_without_the_option_a_text_with_tags_is_left_as_it_is(name: str) -> None:
    text = "".join(
        json.loads(each.removeprefix(b"data: "))["choices"][0]["delta"].get("content", "")
        for each in ANSWERS[name].chunks
        if b"content" in each
    )
    async with odd_sdk(name, ReasoningFormat.FIELDS) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert "</think>" in text
    assert shown(made.output) == [("output_text", text)]


@pytest.mark.parametrize("name", ["no-done", "two-halves", "refusal", "reasoning-content", "calls-index-0"])
async def test_the_option_changes_nothing_where_no_tag_comes(name: str) -> None:
    async with odd_sdk(name, ReasoningFormat.THINK_TAGS) as client:
        made = await client.responses.create(model="auto", input="hi", tools=TOOLS)
    assert shown(made.output) == COMPLETED[name]


async def test_reasoning_in_tags_is_streamed_with_the_events_of_reasoning() -> None:
    async with odd_sdk("think-tags-in-pieces") as client:
        stream = await client.responses.create(model="auto", input="hi", stream=True)
        kinds = [event.type async for event in stream]
    assert kinds.index("response.reasoning_summary_text.delta") < kinds.index("response.output_text.delta")
    assert kinds.count("response.output_item.added") == 2


async def test_an_answer_of_a_form_is_checked_without_its_reasoning() -> None:
    async with odd_sdk("think-tags-json") as client:
        made = await client.responses.create(model="auto", input="hi", text=STRICT)
    assert (made.status, made.output_text) == ("completed", '{"city": "Oslo"}')
