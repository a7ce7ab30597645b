"""What does the demo do?

It wakes a GPU that sleeps, asks it again while it is warm, crashes the worker in the middle of an answer, asks what
came before, asks what only the private data know, lets the GPU go to sleep, and shows the bill.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from openai import AsyncOpenAI, AsyncStream, omit
from openai.types.responses import Response, ResponseStreamEvent

from standins.cluster.local_cluster import LocalCluster
from standins.demo.costs import budget_lines, gpu_lines, line_sums, sum_lines, turn_lines
from standins.demo.gpu import GpuMonitor
from standins.demo.private_rows import SOURCES, facts_in, rows_of, shown_rows, used_rows
from standins.demo.sign_in import TENANT, USER
from standins.demo.terminal import TerminalScreen, timeline_text
from standins.demo.turn_stream import DemoError, TurnReader, check, events_of, resumed
from standins.json_values import Json, json_object

EVENTS_BEFORE_CRASH = 20
LONG_ANSWER_TOKENS = 200
PATIENCE_S = 30.0
SLEEP_S = 60.0
POLL_S = 0.05
SWEEP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    first: str
    second: str
    long: str
    about_the_first: str
    private: str


QUESTIONS: Mapping[str, Questions] = {
    "real": Questions(
        first="My name is Ada. What is the largest ocean on Earth?",
        second="And the smallest?",
        long="Tell me a story about a lighthouse keeper.",
        about_the_first="What was my first question?",
        private="How many months does the warranty of the telescope last?",
    ),
    "scripted": Questions(
        first="ECHO The Pacific Ocean.",
        second="ECHO The Arctic Ocean.",
        long="COUNT 100",
        about_the_first="RECALL",
        private="FACT warranty",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredTurn:
    response_id: str
    input_tokens: int
    output_tokens: int
    events: int
    answer: str
    sources: Sequence[Json] = ()
    first_token_s: float = 0.0


class DemoScenario:
    def __init__(self, *, stage: LocalCluster, client: AsyncOpenAI, gpu: GpuMonitor, screen: TerminalScreen) -> None:
        self.stage = stage
        self.client = client
        self.gpu = gpu
        self.screen = screen
        self.questions = QUESTIONS[stage.options.model]
        self.asked: list[tuple[str, str]] = []

    async def run(self) -> None:
        self.screen.title("1  A question, while the GPU is asleep")
        first = await self.ask_cold(self.questions.first)
        self.screen.title("2  Another one, while it is warm")
        second = await self.ask_warm(self.questions.second, after=first)
        self.screen.title("3  A longer answer, and a crash in the middle of it")
        long = await self.ask_and_crash(self.questions.long, after=second)
        self.screen.title("4  A question that needs the conversation")
        last = await self.ask(self.questions.about_the_first, after=long)
        self.show_memory(first, long, last)
        self.screen.title("5  A question that only the private data answer")
        await self.ask_private(self.questions.private)
        self.screen.title("6  The GPU goes to sleep again")
        await asyncio.wait_for(self.gpu.watch("asleep", self.show_gpu), SLEEP_S)
        self.screen.title("7  The bill")
        await self.show_bill()
        self.screen.title("It all happened")
        self.screen.field(
            "answers", f"{len(self.asked)} turns; {long.events} events across the crash, none lost or twice"
        )

    async def ask_cold(self, question: str) -> AnsweredTurn:
        """Asks a GPU that sleeps, and shows how it wakes meanwhile."""
        check("the GPU is asleep before the first question", kept=await self.gpu.state() == "asleep")
        watch = asyncio.create_task(self.gpu.watch("ready", self.show_gpu))
        try:
            turn = await self.ask(question, behind=watch)
        finally:
            watch.cancel()
        sessions = await self.gpu.sessions()
        check("the GPU is woken once", kept=len(sessions) == 1)
        start = f"{sessions[0]['start_s']:.1f} s of them the start"
        self.screen.field("wait", f"{turn.first_token_s:.1f} s to the first token, {start}")
        calls = await self.gpu.credential_calls()
        check("the app fetched a credential for the GPU", kept=calls > 0)
        self.screen.field(
            "keys", f"none: managed identity, Google STS and service account gave a token in {calls} calls"
        )
        return turn

    async def ask_warm(self, question: str, after: AnsweredTurn) -> AnsweredTurn:
        calls = await self.gpu.credential_calls()
        turn = await self.ask(question, after)
        check("a warm turn fetches no credential", kept=await self.gpu.credential_calls() == calls)
        check("a warm turn starts nothing", kept=len(await self.gpu.sessions()) == 1)
        self.screen.field("wait", f"{turn.first_token_s:.1f} s to the first token; no start, no call for a credential")
        return turn

    async def ask_private(self, question: str) -> None:
        """Asks the same without the private data and with them, and shows which rows made the difference."""
        self.screen.field("reads", "no private data")
        without = await self.ask(question)
        self.screen.field("reads", f"the sources {SOURCES}")
        read = await self.ask(question, sources=SOURCES)
        used, rows = used_rows(read.sources), rows_of(TENANT, USER)
        check("the turn names the rows that it used", kept=bool(used) and {row for _, row in used} <= rows.keys())
        check("the rows are in the prompt", kept=read.input_tokens > without.input_tokens)
        self.screen.field("rows", f"{len(used)} of {USER}'s own were read as data that may give no orders:")
        for line in shown_rows(used, rows):
            self.screen.row(line)
        facts = facts_in(read.answer, rows, known_text=f"{question} {without.answer}")
        known = ", ".join(f'"{fact}" stands in {row}' for fact, row in facts)
        nothing = "none: so small a model may answer beside what it was given"
        self.screen.field("fact", f"{known}, and not in the answer without the rows" if known else nothing)

    async def show_bill(self) -> None:
        """Shows what each turn cost and what for, what the provider of the GPU asks for, and the budget."""
        reports = await self.final_reports()
        for line in turn_lines([(question, each) for (question, _), each in zip(self.asked, reports, strict=True)]):
            self.screen.row(line)
        lines = line_sums(reports)
        for line in sum_lines(lines):
            self.screen.field("of it", line)
        for line in gpu_lines(self.gpu.name, await self.gpu.sessions()):
            self.screen.field("provider", line)
        self.screen.field(
            "books", f"${lines['gpu'] + lines['cold'] + lines['tail']} for the GPU, as the product counts it"
        )
        for line in budget_lines(reports[-1]["budgets"]):
            self.screen.field("budget", line)
        total = sum((Decimal(each["cost_usd"]) for each in reports), Decimal(0))
        check("the lines of the bill are its total", kept=total == sum(lines.values(), Decimal(0)))

    async def final_reports(self) -> list[Json]:
        """Lets the product's timer close the session of the GPU, and reads each turn's account once it is final."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await self.gpu.sweep(self.stage.base_url)
                reports = [await self.report(response_id) for _, response_id in self.asked]
                if all(each["bill"]["status"] == "final" for each in reports):
                    return reports
                await asyncio.sleep(SWEEP_S)

    def show_gpu(self, state: str, seconds: float) -> None:
        self.screen.field("gpu", f"{state} at {seconds:.1f} s", "crash" if state == "asleep" else "quiet")

    async def ask(
        self,
        question: str,
        after: AnsweredTurn | None = None,
        *,
        behind: asyncio.Task[None] | None = None,
        sources: str = "",
    ) -> AnsweredTurn:
        """Asks, and shows the answer once the task `behind` which it stands is done."""
        reading = TurnReader()
        began = asyncio.get_running_loop().time()
        first_token_s = 0.0
        async for event in events_of(await self.start(question, after, sources)):
            text = reading.read(event)
            if text and not first_token_s:
                first_token_s = asyncio.get_running_loop().time() - began
                await (behind or asyncio.sleep(0))
            self.screen.write("model", text)
        return replace(await self.show_turn(question, reading), first_token_s=first_token_s)

    async def ask_and_crash(self, question: str, after: AnsweredTurn) -> AnsweredTurn:
        """Kills the worker behind a number of events, then reads on from there with a request of its own."""
        reading = TurnReader()
        killed: int | None = None
        async for event in events_of(await self.start(question, after)):
            self.screen.write("model", reading.read(event))
            if killed is None and len(reading.numbers) == EVENTS_BEFORE_CRASH:
                killed = self.stage.kill_worker()
        check("the crash comes before the end of the answer", kept=reading.final is None)
        read = len(reading.numbers)
        self.screen.field("crash", f"kill -9 {killed}, the worker, behind event {read - 1}: the stream broke", "crash")
        async for piece in resumed(self.client, reading):
            self.screen.write("goes on", piece)
        self.show_takeover(killed, read, reading)
        return await self.show_turn(question, reading)

    def show_takeover(self, killed: int | None, read: int, reading: TurnReader) -> None:
        worker = self.stage.wait_worker(other_than=killed)
        check("another process took over", kept=worker != killed)
        rest = f"{read} before the crash, {len(reading.numbers) - read} behind it, from process {worker}"
        self.screen.field("numbers", f"0 to {reading.numbers[-1]} without a gap: {rest}")

    async def start(
        self, question: str, after: AnsweredTurn | None, sources: str = ""
    ) -> AsyncStream[ResponseStreamEvent]:
        self.screen.field("you", question, "you")
        return await self.client.responses.create(
            model="auto",
            input=question,
            stream=True,
            temperature=0,
            max_output_tokens=LONG_ANSWER_TOKENS,
            previous_response_id=after.response_id if after else omit,
            metadata={"sources": sources} if sources else omit,
        )

    async def show_turn(self, question: str, reading: TurnReader) -> AnsweredTurn:
        """Shows the steps of a turn, its route, its tokens and its cost."""
        final = reading.checked_response()
        route = await self.route_of(final)
        usage = final.usage
        if usage is None:
            raise DemoError("the turn says its tokens")
        cost = Decimal(route["cost_usd"])
        check("the turn has a cost", kept=cost > 0)
        check("the turn was routed with reasons", kept=bool(route["route"]["reason"]))
        self.screen.field("steps", timeline_text(route["timeline"]))
        self.show_route(route)
        self.screen.field("tokens", f"{usage.input_tokens} in, {usage.output_tokens} out, for ${cost}")
        self.asked.append((question, final.id))
        return AnsweredTurn(
            response_id=final.id,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            events=len(reading.numbers),
            answer=final.output_text,
            sources=route["sources"],
        )

    async def report(self, response_id: str) -> Json:
        return json_object(await self.client.get(f"/responses/{response_id}/route", cast_to=object)) or {}

    async def route_of(self, final: Response) -> Json:
        """Reads the route once its attempts are settled, which comes just behind the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                route = await self.report(final.id)
                if any(attempt["cost_usd"] for attempt in route["attempts"]):
                    return route
                await asyncio.sleep(POLL_S)

    def show_route(self, route: Json) -> None:
        for decided in route["routes"]:
            if decided.get("woken"):
                self.screen.field("wake", f"{decided['wakes']}, beside the other steps: {decided['why_wake']}")
        self.screen.field("route", route["route"]["reason"])
        for backend in route["route"]["candidates"]:
            cost = f"${Decimal(backend['cost_usd']):.6f}"
            self.screen.row(f"{backend['backend']:<16} {cost} {backend['seconds']:6.1f} s  {backend['reason']}")
        for backend in route["route"]["refused"]:
            self.screen.row(f"{backend['backend']:<16} refused: {backend['reason']}")

    def show_memory(self, first: AnsweredTurn, long: AnsweredTurn, last: AnsweredTurn) -> None:
        """Checks, by its size, that the conversation was in the prompt: so small a model may still answer beside it."""
        before = first.input_tokens + first.output_tokens + long.output_tokens
        check("the conversation is in the prompt", kept=last.input_tokens > before)
        self.screen.field("memory", f"a prompt of {last.input_tokens} tokens: both questions and answers were in it")
