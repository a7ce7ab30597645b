"""Does the OpenAI Agents SDK work, with the Responses API and with Chat Completions?"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from agents import (
    Agent,
    FileSearchTool,
    HostedMCPTool,
    ModelSettings,
    OpenAIConversationsSession,
    Runner,
    RunState,
    function_tool,
    set_default_openai_api,
    set_tracing_disabled,
)
from pydantic import BaseModel, Field
from telling import LOST, MODEL, NOTING, SEARCHING, SHOP, SHOPPING, Check, counted, holds, says, tell

set_tracing_disabled(True)


type City = Literal["Rome", "Paris"]


@function_tool
def weather(city: City) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


class Trip(BaseModel):
    city: City
    days: int = Field(ge=1, le=30)


def agent(**more: Any) -> Agent[None]:
    settings = {"model_settings": ModelSettings(temperature=0), **more}
    return Agent(name="guide", instructions="Be brief.", model=MODEL, **settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    api: Literal["responses", "chat_completions"]

    async def run(self, asked: Agent[None], given: Any, **more: Any) -> Any:
        set_default_openai_api(self.api)
        return await Runner.run(asked, given, **more)

    async def text(self) -> None:
        says((await self.run(agent(), "COUNT 7")).final_output, counted(7))

    async def stream(self) -> None:
        set_default_openai_api(self.api)
        running = Runner.run_streamed(agent(), "COUNT 30")
        raw = [event.data async for event in running.stream_events() if event.type == "raw_response_event"]
        says("".join(each.delta for each in raw if each.type == "response.output_text.delta"), counted(30))
        says(running.final_output, counted(30))

    async def tools(self) -> None:
        answer = await self.run(agent(tools=[weather]), "CALL weather")
        says(answer.final_output, "weather said: sunny in Rome")

    async def streamed_tools(self) -> None:
        set_default_openai_api(self.api)
        running = Runner.run_streamed(agent(tools=[weather]), "CALL weather")
        kinds = [event.item.type async for event in running.stream_events() if event.type == "run_item_stream_event"]
        assert kinds == ["tool_call_item", "tool_call_output_item", "message_output_item"]
        says(running.final_output, "weather said: sunny in Rome")

    async def server_tools(self) -> None:
        shop: Any = HostedMCPTool(tool_config=SHOP)
        answer = await self.run(agent(tools=[shop]), SHOPPING)
        says(answer.final_output, "refunded")
        again = [*answer.to_input_list(), {"role": "user", "content": "RECALL"}]
        says((await self.run(agent(tools=[shop]), again)).final_output, SHOPPING)

    async def streamed_server_tools(self) -> None:
        shop: Any = HostedMCPTool(tool_config=SHOP)
        running = Runner.run_streamed(agent(tools=[shop]), SHOPPING)
        kinds = [event.item.type async for event in running.stream_events() if event.type == "run_item_stream_event"]
        assert kinds == ["mcp_list_tools_item", "tool_call_item", "tool_call_item", "message_output_item"], kinds
        says(running.final_output, "refunded")

    async def shown(self, prompt: str, tool: Any, said: str) -> Any:
        """Run a turn, give all of it back as input, and return the item of its call."""
        answer = await self.run(agent(tools=[tool]), prompt)
        says(answer.final_output, said)
        again = [*answer.to_input_list(), {"role": "user", "content": "RECALL"}]
        says((await self.run(agent(tools=[tool]), again)).final_output, prompt)
        return next(each.raw_item for each in answer.new_items if each.type == "tool_call_item")

    async def failed_server_tools(self) -> None:
        call = await self.shown(LOST, HostedMCPTool(tool_config=SHOP), "sorry")
        assert (call.type, call.status, call.error.code) == ("mcp_call", "failed", 404)

    async def file_search(self) -> None:
        tool = FileSearchTool(vector_store_ids=["documents"], include_search_results=True)
        call = await self.shown(SEARCHING, tool, "36 months")
        assert (call.type, call.status) == ("file_search_call", "completed")
        assert "36 months" in call.results[0].text

    async def approval(self) -> None:
        """One process asks, another approves or denies: the state goes between them as JSON."""
        for word, effects in (("approve", 1), ("deny", 0)):
            before = notes()
            asked = await self.run(noting(), NOTING)
            assert [each.name for each in asked.interruptions] == ["send_note"], asked.interruptions
            assert notes() == before
            state = json.dumps(asked.to_state().to_json())
            other = await asyncio.create_subprocess_exec(sys.executable, __file__, word, stdin=PIPE, stdout=PIPE)
            told, _ = await other.communicate(state.encode())
            says(told.decode(), "noted")
            assert notes() == before + effects

    async def forced_tool(self) -> None:
        forced = ModelSettings(tool_choice="required")
        asked = agent(tools=[weather], model_settings=forced, tool_use_behavior="stop_on_first_tool")
        assert (await self.run(asked, "Rome?")).final_output.startswith("sunny in ")

    async def structured_output(self) -> None:
        trip = (await self.run(agent(output_type=Trip), "Plan a trip.")).final_output
        holds(trip.model_dump(), {"city": "Rome", "days": 1})

    async def handoff(self) -> None:
        clerk = Agent(name="clerk", model=MODEL)
        assert (await self.run(agent(handoffs=[clerk]), "CALL transfer_to_clerk")).last_agent.name == "clerk"

    async def conversation(self) -> None:
        first = await self.run(agent(), "ECHO green")
        again = await self.run(agent(), [*first.to_input_list(), {"role": "user", "content": "RECALL"}])
        says(again.final_output, "ECHO green")
        if self.api == "responses":
            await self.remembers(first.last_response_id)

    async def remembers(self, last: str) -> None:
        says((await self.run(agent(), "RECALL", previous_response_id=last)).final_output, "ECHO green")
        session = OpenAIConversationsSession()
        await self.run(agent(tools=[weather]), "CALL weather", session=session)
        says((await self.run(agent(), "RECALL", session=session)).final_output, "CALL weather")


def noting() -> Agent[None]:
    config: Any = {**SHOP, "require_approval": {"always": {"tool_names": ["send_note"]}}}
    return agent(tools=[HostedMCPTool(tool_config=config)])


def notes() -> int:
    """Return how many notes the shop has sent."""
    effects = httpx.get(f"{os.environ['SHOP_URL']}/__effects").json()["effects"]
    return sum(effect["kind"] == "note" for effect in effects)


async def resume(word: str) -> None:
    """Decide about what the state on stdin asks for, and print the answer."""
    set_default_openai_api("responses")
    state = await RunState.from_json(noting(), json.load(sys.stdin))
    for each in state.get_interruptions():
        if word == "approve":
            state.approve(each)
        else:
            state.reject(each, rejection_message="not today")
    sys.stdout.write((await Runner.run(noting(), state)).final_output)


def checks_of(api: Literal["responses", "chat_completions"]) -> dict[str, Check]:
    checks = Checks(api=api)
    servers = {
        "server tools": checks.server_tools,
        "streamed server tools": checks.streamed_server_tools,
        "failed server tools": checks.failed_server_tools,
        "file search": checks.file_search,
        "approval": checks.approval,
    }
    return {
        **(servers if api == "responses" else {}),
        "text": checks.text,
        "stream": checks.stream,
        "tools": checks.tools,
        "streamed tools": checks.streamed_tools,
        "forced tool": checks.forced_tool,
        "structured output": checks.structured_output,
        "handoff": checks.handoff,
        "conversation": checks.conversation,
    }


if __name__ == "__main__" and len(sys.argv) > 1:
    asyncio.run(resume(sys.argv[1]))
elif __name__ == "__main__":
    tell({"responses": checks_of("responses"), "chat": checks_of("chat_completions")})
