"""Which steps does the demo run?

It sends a question to a cold GPU and one to the warm GPU, kills the worker in the middle of an answer, asks about the
conversation and about private data, approves a call of a tool, waits until the GPU scales to zero, and shows the bill.
"""

import asyncio
from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass
from decimal import Decimal

from openai import AsyncOpenAI, AsyncStream, omit
from openai.types.responses import Response, ResponseStreamEvent

from standins.cluster.local_cluster import LocalCluster
from standins.demo.approved_refund import WISHES, ApprovedRefund
from standins.demo.costs import budget_lines, gpu_lines, line_sums, sum_lines, turn_lines
from standins.demo.gpu import GpuMonitor
from standins.demo.private_rows import SOURCES, facts_in, rows_of, shown_rows, used_rows
from standins.demo.questions import QUESTIONS
from standins.demo.sign_in import TENANT, USER
from standins.demo.terminal import TerminalScreen, timeline_text
from standins.demo.turn_stream import DemoError, TurnReader, check, events_of, resumed
from standins.json_values import Json, json_object

EVENTS_BEFORE_CRASH = 20
CRASH_TRIES = 3
LONG_ANSWER_TOKENS = 200
TIMEOUT_S = 30.0
SCALE_IN_S = 60.0
POLL_S = 0.05
SWEEP_S = 1.0


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
    def __init__(self, *, cluster: LocalCluster, client: AsyncOpenAI, gpu: GpuMonitor, screen: TerminalScreen) -> None:
        self.cluster = cluster
        self.client = client
        self.gpu = gpu
        self.screen = screen
        self.questions = QUESTIONS[cluster.options.model]
        self.finished: list[tuple[str, str]] = []

    async def run(self) -> None:
        self.screen.title("1  A question to a cold GPU")
        first = await self.ask_cold(self.questions.first)
        self.screen.title("2  A question to the warm GPU")
        second = await self.ask_warm(self.questions.second, after=first)
        self.screen.title("3  A longer answer, interrupted by a crash")
        long = await self.ask_and_crash(self.questions.long, after=second)
        self.screen.title("4  A question about the conversation")
        last = await self.ask(self.questions.about_the_first, after=long)
        self.show_memory(first, long, last)
        self.screen.title("5  A question about private data")
        await self.ask_private(self.questions.private)
        self.screen.title("6  A call that needs an approval, and a crash while it runs")
        await self.ask_and_approve()
        self.screen.title("7  The GPU scales to zero")
        await asyncio.wait_for(self.gpu.watch("cold", self.show_gpu), SCALE_IN_S)
        self.screen.title("8  The bill")
        await self.show_bill()
        self.screen.title("The demo succeeded")
        self.screen.field(
            "summary",
            f"{len(self.finished)} turns completed; {long.events} events across the crash, none lost or duplicated",
        )

    async def ask_cold(self, question: str) -> AnsweredTurn:
        """Sends a question to the cold GPU and shows the states of its start."""
        check("the GPU is cold before the first question", holds=await self.gpu.state() == "cold")
        watch = asyncio.create_task(self.gpu.watch("ready", self.show_gpu))
        try:
            turn = await self.ask(question, after_task=watch)
        finally:
            watch.cancel()
        sessions = await self.gpu.sessions()
        check("the GPU starts exactly once", holds=len(sessions) == 1)
        start_s = f"{sessions[0]['start_s']:.1f} s"
        self.screen.field("latency", f"{turn.first_token_s:.1f} s to the first token, including {start_s} GPU start")
        self.screen.field("console", self.console_address(turn))
        calls = await self.gpu.credential_calls()
        check("the app fetched a credential for the GPU", holds=calls > 0)
        self.screen.field(
            "auth",
            f"no stored keys: managed identity, Google STS and service account, {calls} calls of their stand-ins",
        )
        return turn

    def console_address(self, turn: AnsweredTurn) -> str:
        """Gives the address that shows a turn in the console, signed in, while the demo runs."""
        return f"{self.cluster.issuer_url}/console?port={self.cluster.port}&view=turn/{turn.response_id}"

    async def ask_warm(self, question: str, after: AnsweredTurn) -> AnsweredTurn:
        calls = await self.gpu.credential_calls()
        turn = await self.ask(question, after)
        check("a warm turn fetches no credential", holds=await self.gpu.credential_calls() == calls)
        check("a warm turn starts nothing", holds=len(await self.gpu.sessions()) == 1)
        self.screen.field("latency", f"{turn.first_token_s:.1f} s to the first token, no GPU start, no credential call")
        return turn

    async def ask_private(self, question: str) -> None:
        """Asks the same question without and with the private data, and shows which rows changed the answer."""
        self.screen.field("sources", "none")
        without = await self.ask(question)
        self.screen.field("sources", SOURCES)
        informed = await self.ask(question, sources=SOURCES)
        used, rows = used_rows(informed.sources), rows_of(TENANT, USER)
        check("the turn reports the rows that it used", holds=bool(used) and {row for _, row in used} <= rows.keys())
        check("the rows are in the prompt", holds=informed.input_tokens > without.input_tokens)
        self.screen.field("rows", f"{len(used)} rows of {USER}, added to the prompt as data, not as instructions:")
        for line in shown_rows(used, rows):
            self.screen.row(line)
        facts = facts_in(informed.answer, rows, known_text=f"{question} {without.answer}")
        known = ", ".join(f'"{fact}" from {row}' for fact, row in facts)
        nothing = "none: a model of this size may ignore the rows"
        self.screen.field("fact", f"{known}; missing in the answer without the rows" if known else nothing)

    async def ask_and_approve(self) -> None:
        """Asks for a call of a tool, approves it, and kills the worker in the middle of the call."""
        refund = ApprovedRefund(
            cluster=self.cluster, client=self.client, screen=self.screen, shop=self.cluster.model_url("shop")
        )
        reader, request_id = await refund.ask(WISHES[self.cluster.options.model])
        await self.show_turn("a refund, approved", await refund.approve(reader, request_id))

    async def show_bill(self) -> None:
        """Shows the cost of each turn, the sum of each kind of cost, the provider's bill and the budget."""
        reports = await self.final_reports()
        for line in turn_lines([(question, each) for (question, _), each in zip(self.finished, reports, strict=True)]):
            self.screen.row(line)
        lines = line_sums(reports)
        for line in sum_lines(lines):
            self.screen.field("cost", line)
        for line in gpu_lines(self.gpu.name, await self.gpu.sessions()):
            self.screen.field("provider", line)
        self.screen.field(
            "ledger", f"${lines['gpu'] + lines['cold'] + lines['tail']} for the GPU in the product's own accounting"
        )
        for line in budget_lines(reports[-1]["budgets"]):
            self.screen.field("budget", line)
        total = sum((Decimal(each["cost_usd"]) for each in reports), Decimal(0))
        check("the lines of the bill add up to its total", holds=total == sum(lines.values(), Decimal(0)))

    async def final_reports(self) -> list[Json]:
        """Runs the sweeper until every turn's bill is final, and gives the reports of the turns."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                await self.gpu.sweep(self.cluster.base_url)
                reports = [await self.report(response_id) for _, response_id in self.finished]
                if all(each["bill"]["status"] == "final" for each in reports):
                    return reports
                await asyncio.sleep(SWEEP_S)

    def show_gpu(self, state: str, seconds: float) -> None:
        self.screen.field("gpu", f"{state} at {seconds:.1f} s", "crash" if state == "cold" else "quiet")

    async def ask(
        self,
        question: str,
        after: AnsweredTurn | None = None,
        *,
        after_task: asyncio.Task[None] | None = None,
        sources: str = "",
    ) -> AnsweredTurn:
        """Asks a question and shows its answer; the first text waits for `after_task`."""
        reader = TurnReader()
        began = asyncio.get_running_loop().time()
        first_token_s = 0.0
        async for event in events_of(await self.start(question, after, sources)):
            text = reader.read(event)
            if text and not first_token_s:
                first_token_s = asyncio.get_running_loop().time() - began
                await (after_task or asyncio.sleep(0))
            self.screen.write("model", text)
        return replace(await self.show_turn(question, reader), first_token_s=first_token_s)

    async def ask_and_crash(self, question: str, after: AnsweredTurn) -> AnsweredTurn:
        """Kills the worker after a number of events, then resumes the stream with a new request.

        On a busy machine the answer may be complete before the worker is dead: then the question is asked again.
        """
        reader, killed = await self.ask_until_crash(question, after)
        for _ in range(CRASH_TRIES - 1):
            if reader.final is None:
                break
            await self.show_turn(question, reader)
            reader, killed = await self.ask_until_crash(question, after)
        check("the crash comes before the end of the answer", holds=reader.final is None)
        read = len(reader.numbers)
        self.screen.field(
            "crash", f"worker process {killed} killed (kill -9) after event {read - 1}; the stream broke", "crash"
        )
        async for piece in resumed(self.client, reader):
            self.screen.write("resumed", piece)
        self.show_takeover(killed, read, reader)
        return await self.show_turn(question, reader)

    async def ask_until_crash(self, question: str, after: AnsweredTurn) -> tuple[TurnReader, int | None]:
        """Return what was read of the stream, and the process that was killed."""
        reader = TurnReader()
        killed: int | None = None
        async for event in events_of(await self.start(question, after)):
            self.screen.write("model", reader.read(event))
            if killed is None and len(reader.numbers) == EVENTS_BEFORE_CRASH:
                killed = self.cluster.kill_worker()
        return reader, killed

    def show_takeover(self, killed: int | None, read: int, reader: TurnReader) -> None:
        worker = self.cluster.wait_worker(other_than=killed)
        check("another worker process took over", holds=worker != killed)
        rest = f"{read} before the crash, {len(reader.numbers) - read} after it from process {worker}"
        self.screen.field("events", f"0 to {reader.numbers[-1]} without a gap: {rest}")

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

    async def show_turn(self, question: str, reader: TurnReader) -> AnsweredTurn:
        """Shows the timeline of a turn, its route, its tokens and its cost."""
        final = reader.checked_response()
        route = await self.route_of(final)
        usage = final.usage
        if usage is None:
            raise DemoError("the response has no token usage")
        cost = Decimal(route["cost_usd"])
        check("the turn has a cost", holds=cost > 0)
        check("the turn was routed with reasons", holds=bool(route["route"]["reason"]))
        self.screen.field("timeline", timeline_text(route["timeline"]))
        self.show_route(route)
        so_far = (
            " so far; turns that follow share the GPU's start and idle time"
            if route["bill"]["status"] == "provisional"
            else ""
        )
        self.screen.field("tokens", f"{usage.input_tokens} input, {usage.output_tokens} output, ${cost:.6f}{so_far}")
        self.finished.append((question, final.id))
        return AnsweredTurn(
            response_id=final.id,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            events=len(reader.numbers),
            answer=final.output_text,
            sources=route["sources"],
        )

    async def report(self, response_id: str) -> Json:
        return json_object(await self.client.get(f"/responses/{response_id}/route", cast_to=object)) or {}

    async def route_of(self, final: Response) -> Json:
        """Reads the route when its attempts are settled, which happens shortly after the end of the stream."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                route = await self.report(final.id)
                if any(attempt["cost_usd"] for attempt in route["attempts"]):
                    return route
                await asyncio.sleep(POLL_S)

    def show_route(self, route: Json) -> None:
        for decided in route["routes"]:
            if decided.get("woken"):
                self.screen.field("warm-up", f"{decided['wakes']}, in parallel: {decided['why_wake']}")
        self.screen.field("route", route["route"]["reason"])
        candidates: list[Json] = route["route"]["candidates"]
        for backend in candidates if len(candidates) > 1 else ():
            cost = f"${Decimal(backend['cost_usd']):.6f}"
            self.screen.row(f"{backend['backend']:<16} {cost} {backend['seconds']:6.1f} s  {backend['reason']}")
        for backend in route["route"]["refused"]:
            self.screen.row(f"{backend['backend']:<16} rejected: {backend['reason']}")

    def show_memory(self, first: AnsweredTurn, long: AnsweredTurn, last: AnsweredTurn) -> None:
        """Checks by its size that the prompt contains the conversation; a small model may still ignore it."""
        before = first.input_tokens + first.output_tokens + long.output_tokens
        check("the prompt contains the conversation", holds=last.input_tokens > before)
        self.screen.field(
            "memory", f"{last.input_tokens} prompt tokens: they include the earlier questions and answers"
        )
