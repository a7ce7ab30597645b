"""What does the demo do?

It wakes a GPU that sleeps, asks it again while it is warm, crashes the worker in the middle of an answer, asks what
came before, and lets the GPU go to sleep.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from openai import AsyncOpenAI, AsyncStream, omit
from openai.types.responses import Response, ResponseStreamEvent

from standins.demo.following import DemoError, Reading, check, events_of, resumed
from standins.demo.gpu import Gpu, dollars_a_second
from standins.demo.screen import Screen, timeline_text
from standins.narrowing import Json, json_object
from standins.stage import Stage

EVENTS_BEFORE_CRASH = 20
LONG_ANSWER_TOKENS = 200
PATIENCE_S = 30.0
SLEEP_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    first: str
    second: str
    long: str
    about_the_first: str


QUESTIONS: Mapping[str, Questions] = {
    "real": Questions(
        first="My name is Ada. What is the largest ocean on Earth?",
        second="And the smallest?",
        long="Tell me a story about a lighthouse keeper.",
        about_the_first="What was my first question?",
    ),
    "scripted": Questions(
        first="ECHO The Pacific Ocean.", second="ECHO The Arctic Ocean.", long="COUNT 100", about_the_first="RECALL"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    response_id: str
    input_tokens: int
    output_tokens: int
    events: int
    cost_usd: Decimal
    first_token_s: float = 0.0


class Story:
    def __init__(self, *, stage: Stage, client: AsyncOpenAI, gpu: Gpu, screen: Screen) -> None:
        self.stage = stage
        self.client = client
        self.gpu = gpu
        self.screen = screen
        self.questions = QUESTIONS[stage.options.model]

    async def tell(self) -> None:
        self.screen.title("1  A question, while the GPU is asleep")
        first = await self.ask_asleep(self.questions.first)
        self.screen.title("2  Another one, while it is warm")
        second = await self.ask_warm(self.questions.second, after=first)
        self.screen.title("3  A longer answer, and a crash in the middle of it")
        long = await self.ask_and_crash(self.questions.long, after=second)
        self.screen.title("4  A question that needs the conversation")
        last = await self.ask(self.questions.about_the_first, after=long)
        self.remember(first, long, last)
        self.screen.title("5  The GPU goes to sleep again")
        await self.sleep()
        self.screen.title("It all happened")
        total = sum((turn.cost_usd for turn in (first, second, long, last)), Decimal(0))
        self.screen.line(
            "answers", f"4 turns, ${total} in all; {long.events} events across the crash, none lost or twice"
        )

    async def ask_asleep(self, question: str) -> Turn:
        """Asks a GPU that sleeps, and shows how it wakes meanwhile."""
        check("the GPU is asleep before the first question", kept=await self.gpu.state() == "asleep")
        watch = asyncio.create_task(self.gpu.follow("ready", self.show_gpu))
        try:
            turn = await self.ask(question, behind=watch)
        finally:
            watch.cancel()
        sessions = await self.gpu.sessions()
        check("the GPU is woken once", kept=len(sessions) == 1)
        start = f"{sessions[0]['start_s']:.1f} s of them the start"
        self.screen.line("wait", f"{turn.first_token_s:.1f} s to the first token, {start}")
        calls = await self.gpu.credential_calls()
        check("the app fetched a credential for the GPU", kept=calls > 0)
        self.screen.line(
            "keys", f"none: managed identity, Google STS and service account gave a token in {calls} calls"
        )
        return turn

    async def ask_warm(self, question: str, after: Turn) -> Turn:
        calls = await self.gpu.credential_calls()
        turn = await self.ask(question, after)
        check("a warm turn fetches no credential", kept=await self.gpu.credential_calls() == calls)
        check("a warm turn starts nothing", kept=len(await self.gpu.sessions()) == 1)
        self.screen.line("wait", f"{turn.first_token_s:.1f} s to the first token; no start, no call for a credential")
        return turn

    async def sleep(self) -> None:
        """Waits for the end of the tail, and shows the bill."""
        await asyncio.wait_for(self.gpu.follow("asleep", self.show_gpu), SLEEP_S)
        rate = dollars_a_second(self.gpu.name)
        for session in await self.gpu.sessions():
            cost = f" at ${rate} a second: ${rate * Decimal(str(session['billed_s']))}" if rate else ""
            what = f"session {session['number']}: {session['requests']} requests, {session['billed_s']} s{cost}"
            self.screen.line("bill", what)

    def show_gpu(self, state: str, seconds: float) -> None:
        self.screen.line("gpu", f"{state} at {seconds:.1f} s", "crash" if state == "asleep" else "quiet")

    async def ask(self, question: str, after: Turn | None = None, behind: asyncio.Task[None] | None = None) -> Turn:
        """Asks, and shows the answer once the task `behind` which it stands is done."""
        reading = Reading()
        began = asyncio.get_running_loop().time()
        first_token_s = 0.0
        async for event in events_of(await self.start(question, after)):
            text = reading.take(event)
            if text and not first_token_s:
                first_token_s = asyncio.get_running_loop().time() - began
                await (behind or asyncio.sleep(0))
            self.screen.say("model", text)
        return replace(await self.account(reading), first_token_s=first_token_s)

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
        for decided in route["routes"]:
            if decided.get("woken"):
                self.screen.line("wake", f"{decided['wakes']}, beside the other steps: {decided['why_wake']}")
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
