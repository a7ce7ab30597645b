"""Does the official SDK work, unmodified?"""

import asyncio
import json
import os
from typing import Any, Literal

from openai import AsyncOpenAI, NotFoundError
from openai.types.responses.response_output_item import McpApprovalResponse
from pydantic import BaseModel, Field
from telling import EXACT, LOST, MODEL, NOTING, SEARCH, SEARCHING, SHOP, SHOPPING, counted, holds, says, tell

client = AsyncOpenAI()
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Paris"]}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
CHAT_WEATHER: Any = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS, "strict": True}}


type City = Literal["Rome", "Paris"]


class Trip(BaseModel):
    city: City
    days: int = Field(ge=1, le=30)


async def text() -> None:
    response = await client.responses.create(model=MODEL, input="COUNT 7", temperature=0)
    says(response.output_text, counted(7))


async def stream() -> None:
    async with client.responses.stream(model=MODEL, input="COUNT 30", temperature=0) as events:
        numbers = [event.sequence_number async for event in events]
        says((await events.get_final_response()).output_text, counted(30))
    assert numbers == list(range(len(numbers)))


async def limit() -> None:
    given = {"input": "COUNT 30", "max_output_tokens": 16, "stream": True}
    events = [event async for event in await client.responses.create(model=MODEL, **given)]
    says("".join(event.delta for event in events if event.type == "response.output_text.delta"), counted(16))
    assert not EXACT or events[-1].response.status == "incomplete"


async def tools() -> None:
    asked = await client.responses.create(model=MODEL, input="CALL weather", tools=[WEATHER])
    call = asked.output[0]
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    after = {"previous_response_id": asked.id, "tools": [WEATHER]}
    says((await client.responses.create(model=MODEL, input=[result], **after)).output_text, "weather said: sunny")


async def streamed_tools() -> None:
    async with client.responses.stream(model=MODEL, input="CALL weather", tools=[WEATHER]) as events:
        deltas = [event.delta async for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(deltas)) == {"city": "Rome"}


async def forced_tool() -> None:
    asked = await client.responses.create(model=MODEL, input="Rome?", tools=[WEATHER], tool_choice="required")
    holds(json.loads(asked.output[0].arguments), {"city": "Rome"})


async def structured_output() -> None:
    parsed = (await client.responses.parse(model=MODEL, input="Plan a trip.", text_format=Trip)).output_parsed
    holds(parsed.model_dump(), {"city": "Rome", "days": 1})


async def conversation() -> None:
    made = await client.conversations.create()
    await client.responses.create(model=MODEL, input="ECHO green", conversation=made.id)
    second = await client.responses.create(model=MODEL, input="RECALL", conversation=made.id)
    says(second.output_text, "ECHO green")
    listed = client.conversations.items.list(made.id, order="asc", limit=2)
    assert [item.role async for item in listed] == ["user", "assistant", "user", "assistant"]


async def resume() -> None:
    started = await client.responses.create(model=MODEL, input="COUNT 40", background=True)
    async with client.responses.stream(response_id=started.id, starting_after=4) as events:
        assert (await anext(events)).sequence_number == 5
        says((await events.get_final_response()).output_text, counted(40))


CALLED = ["mcp_list_tools", "mcp_call", "mcp_call", "message"]


async def server_tools() -> None:
    response = await client.responses.create(model=MODEL, input=SHOPPING, tools=[SHOP])
    assert [item.type for item in response.output] == CALLED
    assert all(item.status == "completed" for item in response.output[1:])
    again: Any = [user("ECHO green"), *response.output, user("RECALL")]
    says((await client.responses.create(model=MODEL, input=again)).output_text, "ECHO green")


async def shown(prompt: str, tool: Any, *, ends: str, said: str, **more: Any) -> Any:
    """Stream a turn with one call, give all of it back as input, and return the item of the call."""
    async with client.responses.stream(model=MODEL, input=prompt, tools=[tool], **more) as events:
        seen = [event.type async for event in events]
        final = await events.get_final_response()
    assert ends in seen
    says(final.output_text, said)
    again: Any = [user("ECHO green"), *final.output, user("RECALL")]
    says((await client.responses.create(model=MODEL, input=again)).output_text, "ECHO green")
    return final.output[-2]


async def failed_server_tools() -> None:
    """A call that fails, and one of which nobody knows whether it had its effect: its connection breaks after it."""
    failed = await shown(LOST, SHOP, ends="response.mcp_call.failed", said="sorry")
    assert (failed.type, failed.status, failed.output) == ("mcp_call", "failed", None)
    assert (failed.error.type, failed.error.code) == ("http_error", 404)
    await client.with_options(base_url=os.environ["SHOP_URL"]).put(
        "/__faults", body={"path": "/v1/notes", "fault": {"reset": True, "times": 1}}, cast_to=object
    )
    unknown = await shown(NOTING, SHOP, ends="response.mcp_call.failed", said="noted")
    assert (unknown.type, unknown.status, unknown.output) == ("mcp_call", "incomplete", None)
    assert unknown.error.type == "mcp_tool_execution_error"


async def file_search() -> None:
    included: Any = {"include": ["file_search_call.results"]}
    call = await shown(SEARCHING, SEARCH, ends="response.file_search_call.completed", said="36 months", **included)
    assert (call.type, call.status, call.queries) == (
        "file_search_call",
        "completed",
        ["warranty of the telescope"],
    )
    assert "36 months" in call.results[0].text


async def approval() -> None:
    asking: Any = {**SHOP, "require_approval": "always"}
    response = await client.responses.create(model=MODEL, input=NOTING, tools=[asking])
    assert [item.type for item in response.output] == ["mcp_list_tools", "mcp_approval_request"]
    answer: Any = {
        "type": "mcp_approval_response",
        "approval_request_id": response.output[-1].id,
        "approve": True,
    }
    ended = await client.responses.create(model=MODEL, input=[answer], previous_response_id=response.id, tools=[asking])
    assert [item.type for item in ended.output] == ["mcp_call", "message"]
    says(ended.output_text, "noted")


async def denial() -> None:
    """Stream the request and the answer; `responses.stream` gathers both."""
    asking: Any = {**SHOP, "require_approval": "always"}
    async with client.responses.stream(model=MODEL, input=NOTING, tools=[asking]) as events:
        seen = [event.type async for event in events]
        asked = await events.get_final_response()
    assert seen.count("response.output_item.added") == seen.count("response.output_item.done") == 2
    denied: Any = {"type": "mcp_approval_response", "approve": False, "reason": "not today"}
    denied["approval_request_id"] = asked.output[-1].id
    after: Any = {"previous_response_id": asked.id, "tools": [asking]}
    async with client.responses.stream(model=MODEL, input=[denied], **after) as events:
        ended = await events.get_final_response()
    assert [item.type for item in ended.output] == ["message"]
    says(ended.output_text, "noted")


async def approval_in_place() -> None:
    """Decide while a stream waits; another one goes on after the request, as if it had been cut off there."""
    asking: Any = {**SHOP, "require_approval": "always"}
    waits: Any = {"background": True, "stream": True, "metadata": {"approval_wait_s": "3600"}}
    events, answer = list[Any](), None
    async for event in await client.responses.create(model=MODEL, input=NOTING, tools=[asking], **waits):
        events.append(event)
        if event.type == "response.output_item.done" and event.item.type == "mcp_approval_request":
            place = f"/responses/{events[0].response.id}/approvals"
            body = {"approval_request_id": event.item.id, "approve": True}
            answer = await client.post(place, body=body, cast_to=McpApprovalResponse)
    final = events[-1].response
    assert [event.sequence_number for event in events] == list(range(len(events)))
    expected = ["mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call", "message"]
    assert [item.type for item in final.output] == expected
    assert isinstance(answer, McpApprovalResponse)
    assert answer == final.output[2]
    says(final.output_text, "noted")
    asked = next(event.sequence_number for event in events if event.type == "response.output_item.done")
    async with client.responses.stream(response_id=final.id, starting_after=asked) as resumed:
        numbers = [event.sequence_number async for event in resumed]
        assert (await resumed.get_final_response()).output_text == final.output_text
    assert numbers == list(range(asked + 1, len(events)))


async def streamed_server_tools() -> None:
    """Break the stream in the middle of the calls, and go on after the last event."""
    started = await client.responses.create(model=MODEL, input=SHOPPING, tools=[SHOP], background=True, stream=True)
    name, numbers = "", list[int]()
    async for event in started:
        numbers.append(event.sequence_number)
        name = event.response.id if event.type == "response.created" else name
        if event.type == "response.mcp_call_arguments.done":
            break
    await started.close()
    async with client.responses.stream(response_id=name, starting_after=numbers[-1]) as events:
        numbers += [event.sequence_number async for event in events]
        final = await events.get_final_response()
    assert numbers == list(range(len(numbers)))
    assert [item.type for item in final.output] == CALLED
    says(final.output_text, "refunded")


def user(content: str) -> Any:
    return {"role": "user", "content": content}


async def chat_text() -> None:
    chat = await client.chat.completions.create(model=MODEL, messages=[user("COUNT 7")], temperature=0)
    says(chat.choices[0].message.content, counted(7))


async def chat_stream() -> None:
    given = {"messages": [user("COUNT 30")], "temperature": 0, "stream_options": {"include_usage": True}}
    async with client.chat.completions.stream(model=MODEL, **given) as events:
        final = await events.get_final_completion()
    says(final.choices[0].message.content, counted(30))
    assert final.usage.completion_tokens > 0


async def chat_limit() -> None:
    given = {"messages": [user("COUNT 30")], "max_completion_tokens": 16}
    chat = await client.chat.completions.create(model=MODEL, **given)
    says(chat.choices[0].message.content, counted(16))
    assert not EXACT or chat.choices[0].finish_reason == "length"


async def chat_tools() -> None:
    asked = await client.chat.completions.create(model=MODEL, messages=[user("CALL weather")], tools=[CHAT_WEATHER])
    message = asked.choices[0].message
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    messages = [user("CALL weather"), message, result]
    answer = await client.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_WEATHER])
    says(answer.choices[0].message.content, "weather said: sunny")


async def chat_streamed_tools() -> None:
    given = {"messages": [user("CALL weather")], "tools": [CHAT_WEATHER]}
    async with client.chat.completions.stream(model=MODEL, **given) as events:
        message = (await events.get_final_completion()).choices[0].message
    assert json.loads(message.tool_calls[0].function.arguments) == {"city": "Rome"}


async def chat_forced_tool() -> None:
    given = {"messages": [user("Rome?")], "tools": [CHAT_WEATHER], "tool_choice": "required"}
    chat = await client.chat.completions.create(model=MODEL, **given)
    holds(json.loads(chat.choices[0].message.tool_calls[0].function.arguments), {"city": "Rome"})


async def chat_structured_output() -> None:
    given = {"messages": [user("Plan a trip.")], "response_format": Trip}
    chat = await client.chat.completions.parse(model=MODEL, **given)
    holds(chat.choices[0].message.parsed.model_dump(), {"city": "Rome", "days": 1})


async def chat_conversation() -> None:
    messages = [user("ECHO green"), {"role": "assistant", "content": "green"}, user("RECALL")]
    chat = await client.chat.completions.create(model=MODEL, messages=messages)
    says(chat.choices[0].message.content, "ECHO green")


def line(number: int) -> dict[str, Any]:
    body = {"model": MODEL, "input": f"COUNT {number}", "temperature": 0, "max_output_tokens": 64}
    return {"custom_id": f"line-{number}", "method": "POST", "url": "/v1/responses", "body": body}


async def upload(lines: list[dict[str, Any]]) -> str:
    content = "\n".join(json.dumps(each) for each in lines).encode()
    return (await client.files.create(file=("in.jsonl", content), purpose="batch")).id


async def batch_of(lines: list[dict[str, Any]]) -> str:
    made = await client.batches.create(
        input_file_id=await upload(lines),
        endpoint="/v1/responses",
        completion_window="24h",
        metadata={"of": "a kit"},
    )
    return made.id


async def ended(name: str) -> Any:
    while True:
        found = await client.batches.retrieve(name)
        if found.status in {"completed", "failed", "expired", "cancelled"}:
            return found
        await asyncio.sleep(0.5)


async def files() -> None:
    made = await client.files.create(file=("note.txt", b"hello"), purpose="user_data")
    assert (await client.files.retrieve(made.id)).filename == "note.txt"
    assert (await client.files.content(made.id)).text == "hello"
    await upload([line(1)])
    listed = [each.id async for each in client.files.list(limit=1)]
    assert len(listed) > 1
    assert made.id in listed
    assert (await client.files.delete(made.id)).deleted
    try:
        await client.files.retrieve(made.id)
    except NotFoundError:
        return
    raise AssertionError("the file was found after its deletion")


async def batch() -> None:
    name = await batch_of([line(number) for number in (1, 2, 3)])
    done = await ended(name)
    assert (done.status, done.metadata) == ("completed", {"of": "a kit"})
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (3, 3, 0)
    rows = [json.loads(each) for each in (await client.files.content(done.output_file_id)).text.splitlines()]
    assert sorted(row["custom_id"] for row in rows) == ["line-1", "line-2", "line-3"]
    for row in rows:
        number = int(row["custom_id"].partition("-")[2])
        says(row["response"]["body"]["output"][0]["content"][0]["text"], counted(number))
        assert (await client.responses.retrieve(row["response"]["body"]["id"])).status == "completed"
    await batch_of([line(1)])
    listed = [each.id async for each in client.batches.list(limit=1)]
    assert len(listed) > 1
    assert name in listed


async def wrong_lines() -> None:
    done = await ended(await batch_of([line(1), line(1), {**line(2), "method": "GET"}]))
    assert done.status == "failed"
    assert [(each.line, each.param) for each in done.errors.data] == [(2, "custom_id"), (3, "method")]


async def cancel() -> None:
    """Cancel a batch; one that has ended before stays as it is."""
    name = await batch_of([line(number) for number in range(1, 501)])
    cancelled = await client.batches.cancel(name)
    assert cancelled.status in {"cancelling", "cancelled", "completed"}
    done = await ended(name)
    assert done.status == ("completed" if cancelled.status == "completed" else "cancelled")
    assert (await client.batches.cancel(name)).status == done.status


async def webhooks() -> None:
    secret, types = os.environ["WEBHOOK_SECRET"], dict[str, str]()
    for each in json.loads(os.environ["WEBHOOKS"]):
        event = client.webhooks.unwrap(each["body"], each["headers"], secret=secret)
        assert event.data.id.startswith("batch_")
        types[event.type] = type(event).__name__
    assert types == {
        f"batch.{each}": f"Batch{each.capitalize()}WebhookEvent"
        for each in ("completed", "failed", "expired", "cancelled")
    }


RESPONSES = {
    "text": text,
    "stream": stream,
    "limit": limit,
    "tools": tools,
    "streamed tools": streamed_tools,
    "forced tool": forced_tool,
    "structured output": structured_output,
    "conversation": conversation,
    "resume": resume,
    "server tools": server_tools,
    "streamed server tools": streamed_server_tools,
    "failed server tools": failed_server_tools,
    "file search": file_search,
    "approval": approval,
    "denial": denial,
    "approval in place": approval_in_place,
}
CHAT = {
    "text": chat_text,
    "stream": chat_stream,
    "limit": chat_limit,
    "tools": chat_tools,
    "streamed tools": chat_streamed_tools,
    "forced tool": chat_forced_tool,
    "structured output": chat_structured_output,
    "conversation": chat_conversation,
}

BATCHES = {
    "files": files,
    "batch": batch,
    "wrong lines": wrong_lines,
    "cancel": cancel,
    "webhooks": webhooks,
}

if __name__ == "__main__":
    tell({"responses": RESPONSES, "chat": CHAT, "batches": BATCHES})
