"""Does an agent of LangGraph work, with the Responses API and with Chat Completions?"""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from shared import ANSWERED, PIXEL, QUESTION, SEEN, Check, City, Trip
from telling import MODEL, counted, holds, says, tell


@tool
def weather(city: City) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


class Checks:
    def __init__(self, *, responses: bool) -> None:
        self.model = ChatOpenAI(model=MODEL, temperature=0, use_responses_api=responses)

    async def run(self, content: Any, **more: Any) -> Any:
        return await create_agent(self.model, **more).ainvoke({"messages": [HumanMessage(content)]})

    async def text(self) -> None:
        says((await self.run("COUNT 7"))["messages"][-1].text, counted(7))

    async def tools(self) -> None:
        says((await self.run("CALL weather", tools=[weather]))["messages"][-1].text, ANSWERED)

    async def structured_output(self) -> None:
        state = await self.run("Plan a trip.", response_format=ProviderStrategy(Trip))
        holds(state["structured_response"].model_dump(), {"city": "Rome", "days": 1})

    async def images(self) -> None:
        parts = [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": PIXEL}}]
        assert (await self.run(parts))["messages"][-1].text.startswith(SEEN)

    async def stop(self) -> None:
        """A thread whose first run was stopped goes on."""
        agent = create_agent(self.model, checkpointer=InMemorySaver())
        thread: Any = {"configurable": {"thread_id": "1"}}
        stream = agent.astream({"messages": [HumanMessage("COUNT 30")]}, thread, stream_mode="messages")
        async for _ in stream:
            break
        await stream.aclose()
        state = await agent.ainvoke({"messages": [HumanMessage("ECHO again")]}, thread)
        says(state["messages"][-1].text, "again")


def checks_of(*, responses: bool) -> dict[str, Check]:
    checks = Checks(responses=responses)
    return {
        "text": checks.text,
        "tools": checks.tools,
        "structured output": checks.structured_output,
        "images": checks.images,
        "stop": checks.stop,
    }


tell({"responses": checks_of(responses=True), "chat": checks_of(responses=False)})
