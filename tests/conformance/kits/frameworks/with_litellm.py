"""Does LiteLLM work, with Chat Completions and with the Responses API?"""

import json
from typing import Any

import litellm
from shared import ANSWERED, PIXEL, QUESTION, SEEN, Trip
from telling import MODEL, counted, holds, says, tell

NAME = f"openai/{MODEL}"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Rome", "Paris"]}},
    "required": ["city"],
}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def chat(*messages: Any, **more: Any) -> Any:
    return await litellm.acompletion(model=NAME, messages=list(messages), **more)


async def text() -> None:
    says((await chat(user("COUNT 7"))).choices[0].message.content, counted(7))


async def tools() -> None:
    asked = (await chat(user("CALL weather"), tools=[WEATHER])).choices[0].message
    call = asked.tool_calls[0]
    city = json.loads(call.function.arguments)["city"]
    result = {"role": "tool", "tool_call_id": call.id, "content": f"sunny in {city}"}
    answer = await chat(user("CALL weather"), asked.model_dump(), result, tools=[WEATHER])
    says(answer.choices[0].message.content, ANSWERED)


async def structured_output() -> None:
    content = (await chat(user("Plan a trip."), response_format=Trip)).choices[0].message.content
    holds(json.loads(content), {"city": "Rome", "days": 1})


async def images() -> None:
    parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    assert (await chat(user(parts))).choices[0].message.content.startswith(SEEN)


async def stop() -> None:
    stream = await chat(user("COUNT 30"), stream=True)
    async for _ in stream:
        break
    await stream.aclose()
    says((await chat(user("ECHO again"))).choices[0].message.content, "again")


async def responses_text() -> None:
    answer = await litellm.aresponses(model=NAME, input="COUNT 7")
    says(answer.output[0].content[0].text, counted(7))


async def responses_images() -> None:
    parts = [{"type": "input_text", "text": QUESTION}, {"type": "input_image", "image_url": PIXEL}]
    answer = await litellm.aresponses(model=NAME, input=[user(parts)])
    assert answer.output[0].content[0].text.startswith(SEEN)


async def responses_stop() -> None:
    stream: Any = await litellm.aresponses(model=NAME, input="COUNT 30", stream=True)
    async for _ in stream:
        break
    says((await litellm.aresponses(model=NAME, input="ECHO again")).output[0].content[0].text, "again")


tell(
    {
        "chat": {
            "text": text,
            "tools": tools,
            "structured output": structured_output,
            "images": images,
            "stop": stop,
        },
        "responses": {"text": responses_text, "images": responses_images, "stop": responses_stop},
    }
)
