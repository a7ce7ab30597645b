"""Do agents of Pydantic AI work, with the Responses API and with Chat Completions?"""

from typing import Any

from pydantic_ai import Agent, ImageUrl
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from shared import ANSWERED, PIXEL, QUESTION, SEEN, Check, City, Trip
from telling import MODEL, counted, holds, says, tell


def weather(city: City) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


class Checks:
    def __init__(self, model: Any) -> None:
        self.model = model

    def agent(self, **more: Any) -> Agent[None, Any]:
        return Agent(self.model, **more)

    async def text(self) -> None:
        says((await self.agent().run("COUNT 7")).output, counted(7))

    async def tools(self) -> None:
        says((await self.agent(tools=[weather]).run("CALL weather")).output, ANSWERED)

    async def structured_output(self) -> None:
        trip = (await self.agent(output_type=Trip).run("Plan a trip.")).output
        holds(trip.model_dump(), {"city": "Rome", "days": 1})

    async def images(self) -> None:
        assert (await self.agent().run([QUESTION, ImageUrl(url=PIXEL)])).output.startswith(SEEN)

    async def stop(self) -> None:
        async with self.agent().run_stream("COUNT 30") as running:
            async for _ in running.stream_text(delta=True):
                break
        says((await self.agent().run("ECHO again")).output, "again")


def checks_of(model: Any) -> dict[str, Check]:
    checks = Checks(model)
    return {
        "text": checks.text,
        "tools": checks.tools,
        "structured output": checks.structured_output,
        "images": checks.images,
        "stop": checks.stop,
    }


tell({"responses": checks_of(OpenAIResponsesModel(MODEL)), "chat": checks_of(OpenAIChatModel(MODEL))})
