"""What does the demo do? It asks, crashes the worker in the middle of an answer, and asks what came before."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from openai import AsyncOpenAI, AsyncStream, omit
from openai.types.responses import Response, ResponseStreamEvent

from standins.demo.following import DemoError, Reading, check, events_of, resumed
from standins.demo.screen import Screen, timeline_text
from standins.narrowing import Json, json_object
from standins.stage import Stage

EVENTS_BEFORE_CRASH = 20
LONG_ANSWER_TOKENS = 200
PATIENCE_S = 30.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    first: str
    long: str
    about_the_first: str


QUESTIONS: Mapping[str, Questions] = {
    "real": Questions(
        first="My name is Ada. What is the largest ocean on Earth?",
        long="Tell me a story about a lighthouse keeper.",
        about_the_first="What was my first question?",
    ),
    "scripted": Questions(first="ECHO The Pacific Ocean.", long="COUNT 100", about_the_first="RECALL"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    response_id: str
    input_tokens: int
    output_tokens: int
    events: int
    cost_usd: Decimal


class Story:
    def __init__(self, *, stage: Stage, client: AsyncOpenAI, screen: Screen) -> None:
        self.stage = stage
        self.client = client
        self.screen = screen
        self.questions = QUESTIONS[stage.options.model]

    async def tell(self) -> None:
        self.screen.title("1  A question")
        first = await self.ask(self.questions.first)
        self.screen.title("2  A longer answer, and a crash in the middle of it")
        long = await self.ask_and_crash(self.questions.long, after=first)
        self.screen.title("3  A question that needs the conversation")
        last = await self.ask(self.questions.about_the_first, after=long)
        self.remember(first, long, last)
        self.screen.title("It all happened")
        total = first.cost_usd + long.cost_usd + last.cost_usd
        self.screen.line(
            "answers", f"3 turns, ${total} in all; {long.events} events across the crash, none lost or twice"
        )

    async def ask(self, question: str, after: Turn | None = None) -> Turn:
        reading = Reading()
        async for event in events_of(await self.start(question, after)):
            self.screen.say("model", reading.take(event))
        return await self.account(reading)

    async def ask_and_crash(self, question: str, after: Turn) -> Turn:
        """Kills the worker behind a number of events, then reads on from there with a request of its own."""
        reading = Reading()
        killed: int | None = None
        async for event in events_of(await self.start(question, after)):
            self.screen.say("model", reading.take(event))
            if killed is None and len(reading.numbers) == EVENTS_BEFORE_CRASH:
                killed = self.stage.kill_worker()
        check("the crash comes before the end of the answer", kept=reading.final is None)
        read = len(reading.numbers)
        self.screen.line("crash", f"kill -9 {killed}, the worker, behind event {read - 1}: the stream broke", "crash")
        async for piece in resumed(self.client, reading):
            self.screen.say("goes on", piece)
        self.show_takeover(killed, read, reading)
        return await self.account(reading)

    def show_takeover(self, killed: int | None, read: int, reading: Reading) -> None:
        worker = self.stage.wait_worker(other_than=killed)
        check("another process took over", kept=worker != killed)
        rest = f"{read} before the crash, {len(reading.numbers) - read} behind it, from process {worker}"
        self.screen.line("numbers", f"0 to {reading.numbers[-1]} without a gap: {rest}")

    async def start(self, question: str, after: Turn | None) -> AsyncStream[ResponseStreamEvent]:
        self.screen.line("you", question, "you")
        return await self.client.responses.create(
            model="auto",
            input=question,
            stream=True,
            temperature=0,
            max_output_tokens=LONG_ANSWER_TOKENS,
            previous_response_id=after.response_id if after else omit,
        )

    async def account(self, reading: Reading) -> Turn:
        """Shows the steps of a turn, its route, its tokens and its cost."""
        final = reading.checked()
        route = await self.route_of(final)
        usage = final.usage
        if usage is None:
            raise DemoError("the turn says its tokens")
        cost = Decimal(route["cost_usd"])
        check("the turn has a cost", kept=cost > 0)
        check("the turn was routed with reasons", kept=bool(route["route"]["reason"]))
        self.screen.line("steps", timeline_text(route["timeline"]))
        self.show_route(route)
        self.screen.line("tokens", f"{usage.input_tokens} in, {usage.output_tokens} out, for ${cost}")
        return Turn(
            response_id=final.id,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            events=len(reading.numbers),
            cost_usd=cost,
        )

    async def route_of(self, final: Response) -> Json:
        """Reads the route once its attempts are settled, which comes just behind the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                route = json_object(await self.client.get(f"/responses/{final.id}/route", cast_to=object)) or {}
                if any(attempt["cost_usd"] for attempt in route["attempts"]):
                    return route
                await asyncio.sleep(POLL_S)

    def show_route(self, route: Json) -> None:
        self.screen.line("route", route["route"]["reason"])
        for backend in route["route"]["candidates"]:
            cost = f"${Decimal(backend['cost_usd']):.6f}"
            self.screen.row(f"{backend['backend']:<16} {cost} {backend['seconds']:6.1f} s  {backend['reason']}")
        for backend in route["route"]["refused"]:
            self.screen.row(f"{backend['backend']:<16} refused: {backend['reason']}")

    def remember(self, first: Turn, long: Turn, last: Turn) -> None:
        """Checks, by its size, that the conversation was in the prompt: so small a model may still answer beside it."""
        before = first.input_tokens + first.output_tokens + long.output_tokens
        check("the conversation is in the prompt", kept=last.input_tokens > before)
        self.screen.line("memory", f"a prompt of {last.input_tokens} tokens: both questions and answers were in it")
