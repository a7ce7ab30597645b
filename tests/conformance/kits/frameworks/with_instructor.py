"""Does Instructor work, in its modes for tools, JSON schemas and the Responses API?"""

from typing import Any

import instructor
from openai import AsyncOpenAI
from shared import PIXEL, QUESTION, Check, Trip
from telling import MODEL, holds, tell


class Checks:
    def __init__(self, mode: instructor.Mode) -> None:
        self.client: Any = instructor.from_openai(AsyncOpenAI(), mode=mode)

    async def ask(self, content: Any, **more: Any) -> Any:
        messages = [{"role": "user", "content": content}]
        return await self.client.chat.completions.create(model=MODEL, messages=messages, response_model=Trip, **more)

    async def structured_output(self) -> None:
        holds((await self.ask("Plan a trip.")).model_dump(), {"city": "Rome", "days": 1})

    async def images(self) -> None:
        image = instructor.Image.from_base64(PIXEL)
        holds((await self.ask([QUESTION, image])).model_dump(), {"city": "Rome", "days": 1})

    async def stop(self) -> None:
        stream = self.client.chat.completions.create_partial(
            model=MODEL, messages=[{"role": "user", "content": "Plan a trip."}], response_model=Trip
        )
        async for _ in stream:
            break
        await stream.aclose()
        await self.structured_output()


def checks_of(mode: instructor.Mode) -> dict[str, Check]:
    checks = Checks(mode)
    return {"structured output": checks.structured_output, "images": checks.images, "stop": checks.stop}


tell({mode.value: checks_of(mode) for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA)})
