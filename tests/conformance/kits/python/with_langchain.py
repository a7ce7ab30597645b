"""Does LangChain work, with the Responses API and with Chat Completions?"""

from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field
from telling import LOST, MODEL, NOTING, SEARCH, SEARCHING, SHOP, SHOPPING, Check, counted, holds, says, tell

type City = Literal["Rome", "Paris"]


@tool
def weather(city: City) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


class Trip(BaseModel):
    """A trip."""

    city: City
    days: int = Field(ge=1, le=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    model: ChatOpenAI

    async def text(self) -> None:
        answer = await self.model.ainvoke("COUNT 7")
        says(answer.text, counted(7))
        assert answer.usage_metadata["output_tokens"] > 0

    async def stream(self) -> None:
        says("".join([chunk.text async for chunk in self.model.astream("COUNT 30")]), counted(30))

    async def limit(self) -> None:
        says((await self.model.bind(max_tokens=16).ainvoke("COUNT 30")).text, counted(16))

    async def tools(self) -> None:
        able = self.model.bind_tools([weather])
        call = await able.ainvoke("CALL weather")
        results = [await weather.ainvoke(each) for each in call.tool_calls]
        answer = await able.ainvoke([HumanMessage("CALL weather"), call, *results])
        says(answer.text, "weather said: sunny in Rome")

    async def streamed_tools(self) -> None:
        chunks = [chunk async for chunk in self.model.bind_tools([weather]).astream("CALL weather")]
        whole = sum(chunks[1:], start=chunks[0])
        assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("weather", {"city": "Rome"})]

    async def server_tools(self) -> None:
        able = self.model.bind_tools([SHOP])
        answer = await able.ainvoke(SHOPPING)
        says(answer.text, "refunded")
        answer = await able.ainvoke([HumanMessage("ECHO green"), answer, HumanMessage("RECALL")])
        says(answer.text, "ECHO green")

    async def shown(self, prompt: str, tool: dict[str, object], said: str) -> dict[str, object]:
        """Ask and stream the same, give the message back as input, and return the block of the call."""
        able = self.model.bind_tools([tool])
        answer = await able.ainvoke(prompt)
        says(answer.text, said)
        says("".join([chunk.text async for chunk in able.astream(prompt)]), said)
        again = await self.model.ainvoke([HumanMessage("ECHO green"), answer, HumanMessage("RECALL")])
        says(again.text, "ECHO green")
        return next(block for block in answer.content if block["type"].endswith("_call"))

    async def failed_server_tools(self) -> None:
        call = await self.shown(LOST, SHOP, "sorry")
        assert (call["type"], call["status"], call["error"]["code"]) == ("mcp_call", "failed", 404)

    async def file_search(self) -> None:
        call = await self.shown(SEARCHING, SEARCH, "36 months")
        assert (call["type"], call["status"]) == ("file_search_call", "completed")
        assert call["queries"] == ["warranty of the telescope"]

    async def approval(self) -> None:
        """The request is a block of the message; its answer is a block of the next one."""
        able = self.model.bind_tools([{**SHOP, "require_approval": "always"}])
        for approve, kinds in ((True, ["mcp_call", "text"]), (False, ["text"])):
            asked = await able.ainvoke(NOTING)
            (request,) = [block["id"] for block in asked.content if block["type"] == "mcp_approval_request"]
            answer = {"type": "mcp_approval_response", "approval_request_id": request, "approve": approve}
            after = asked.response_metadata["id"]
            ended = await able.ainvoke([HumanMessage([answer])], previous_response_id=after)
            assert [block["type"] for block in ended.content] == kinds
            says(ended.text, "noted")

    async def streamed_server_tools(self) -> None:
        chunks = [chunk async for chunk in self.model.bind_tools([SHOP]).astream(SHOPPING)]
        says("".join(chunk.text for chunk in chunks), "refunded")

    async def forced_tool(self) -> None:
        answer = await self.model.bind_tools([weather], tool_choice="required").ainvoke("Rome?")
        holds(answer.tool_calls[0]["args"], {"city": "Rome"})

    async def structured_output(self) -> None:
        trip = await self.model.with_structured_output(Trip).ainvoke("Plan a trip.")
        holds(trip.model_dump(), {"city": "Rome", "days": 1})

    async def conversation(self) -> None:
        first = await self.model.ainvoke("ECHO green")
        assert isinstance(first, AIMessage)
        answer = await self.model.ainvoke([HumanMessage("ECHO green"), first, HumanMessage("RECALL")])
        says(answer.text, "ECHO green")
        if self.model.use_responses_api:
            after = first.response_metadata["id"]
            says((await self.model.ainvoke("RECALL", previous_response_id=after)).text, "ECHO green")


def checks_of(*, responses: bool) -> dict[str, Check]:
    checks = Checks(model=ChatOpenAI(model=MODEL, temperature=0, use_responses_api=responses))
    servers = {
        "server tools": checks.server_tools,
        "streamed server tools": checks.streamed_server_tools,
        "failed server tools": checks.failed_server_tools,
        "file search": checks.file_search,
        "approval": checks.approval,
    }
    return {
        **(servers if responses else {}),
        "text": checks.text,
        "stream": checks.stream,
        "limit": checks.limit,
        "tools": checks.tools,
        "streamed tools": checks.streamed_tools,
        "forced tool": checks.forced_tool,
        "structured output": checks.structured_output,
        "conversation": checks.conversation,
    }


if __name__ == "__main__":
    tell({"responses": checks_of(responses=True), "chat": checks_of(responses=False)})
