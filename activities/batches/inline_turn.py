"""How does a turn run inside one activity, through the same orchestrator as every other turn?

The orchestrator is a generator, so its steps can be run here instead of by the host. The results of its steps are kept
like the host keeps a history: a turn that has to wait stores them and gives the wait back, and the next run of the
activity replays them. They are also stored after a call of a model or a tool that does not end the turn, so that a run
which died never makes the same call again.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, cast

from msgspec import Struct, field

from activities.guard import never_raises, tolerate_deletion
from clients.clock import Clock
from clients.storage.request_units import RequestCharge, metered
from clients.storage.sparing.store import forget_turn
from domain import wire
from domain.errors import BudgetSpent, Retryable

type Steps = Mapping[str, Callable[[Any], Awaitable[Any]]]
type Orchestrator = Callable[[Any], Generator[Any, Any, Any]]
type SaveRun = Callable[[Mapping[str, Any]], Awaitable[None]]

VERSION: Final = "1.5"
"""The version of the orchestration of a turn whose order of steps the turns of lines have."""

FIRST_VERSION: Final = "1.4"
"""The version of the stored runs that name none."""

SHORT_S: Final = 1.0
"""A shorter wait is not worth a new run of the activity."""

LONGEST_S: Final = 600.0
"""A turn that has run for so long gives its function back: the host ends the process of one that runs half an hour."""

PAID: Final = (wire.INFER, wire.CALL_TOOL, wire.TRY_CALL_TOOL, wire.TRY_CALL_TOOLS)
"""The steps that call a model or a tool."""

NOTHING_TO_WARM_UP: Final[wire.AnticipatedWire] = {"backend": None, "woken": False}
ENDINGS: Final = ("done", "failed", "ended", "cancelled")


class Call(Struct, frozen=True):
    """A step that the orchestrator asks for."""

    name: str
    request: Any


class Together(Struct, frozen=True):
    """Steps that the orchestrator asks for in parallel."""

    calls: Sequence[Call]


class TimerOrEvent(Struct, eq=False):
    """A timer that fires `at`, in seconds since the epoch; without a time an event, which never comes here."""

    at: float | None = None

    def cancel(self) -> None:
        """Do nothing: a timer that is not waited for costs nothing here."""


class TurnContext(Struct, kw_only=True):
    """The part of the Durable SDK's context that the orchestrator of a turn uses.

    `results` are those of the steps so far, each with its time; `next_request` begins a new history.
    """

    request: Any
    now: float
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    next_request: Any = None
    version: str = VERSION

    @property
    def current_utc_datetime(self) -> datetime:
        return datetime.fromtimestamp(self.now, tz=UTC)

    def get_input(self) -> Any:
        return self.request

    def new_uuid(self) -> str:
        return str(self.request["response"])

    def call_activity(self, name: str, input_: Any) -> Call:
        return Call(name, input_)

    def call_activity_with_retry(self, name: str, _retry_options: Any, input_: Any) -> Call:
        return Call(name, input_)

    def create_timer(self, fire_at: datetime) -> TimerOrEvent:
        return TimerOrEvent(at=fire_at.timestamp())

    def wait_for_external_event(self, _name: str) -> TimerOrEvent:
        return TimerOrEvent()

    def continue_as_new(self, input_: Any) -> None:
        self.next_request = input_

    def task_all(self, activities: Sequence[Any]) -> Together:
        return Together(activities)

    def task_any(self, activities: Sequence[Any]) -> Sequence[TimerOrEvent]:
        return activities


class TurnSuspended(Exception):
    """The turn is to be run again after `delay_s`: it waits on a timer, or has run for long."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(delay_s)
        self.delay_s = delay_s


class InlineTurns:
    """Runs turns. `steps` are those of a turn by their durable names, `respond` is the orchestrator."""

    def __init__(self, steps: Steps, respond: Orchestrator, clock: Clock) -> None:
        self.steps = {name: tolerate_deletion(name, step) for name, step in steps.items()}
        self.respond = respond
        self.clock = clock

    async def run(
        self, turn: wire.RespondWire, stored: Mapping[str, Any] | None, save: SaveRun, *, prefers: str = ""
    ) -> float:
        """Run a turn on; return 0.0 when it has ended, or the seconds that it waits before it is run again.

        `stored` is what `save` stored last; `prefers` is the backend that takes the turn if it can. Raises BudgetSpent.
        """
        request, began_at, results, version = turn, self.clock.now(), list[dict[str, Any]](), VERSION
        if stored:
            request, began_at, results = stored["request"], stored["began_at"], list(stored["results"])
            version = stored.get("version", FIRST_VERSION)
        started_at = self.clock.now()
        with metered() as charge:
            while request:
                context = TurnContext(request=request, now=began_at, results=results, version=version)
                run = InlineRun(self, context, save, began_at, started_at, charge, prefers)
                try:
                    await run.to_end()
                except TurnSuspended as wait:
                    return wait.delay_s
                request, began_at, results, version = context.next_request, self.clock.now(), [], VERSION
        return 0.0


class InlineRun(Struct):
    """One history of a turn that is run; its clock is that of the last result."""

    turns: InlineTurns
    context: TurnContext
    save: SaveRun
    began_at: float
    started_at: float
    charge: RequestCharge
    prefers: str = ""
    number: int = 0

    async def to_end(self) -> None:
        steps = self.turns.respond(self.context)
        try:
            yielded = next(steps)
            while True:
                entry = await self.entry(yielded)
                self.context.now = entry["at"]
                if "failure" in entry:
                    yielded = steps.throw(Exception(entry["failure"]))
                else:
                    yielded = steps.send(sent_value(entry, yielded))
        except StopIteration as end:
            await self.settle_lost(end.value)

    async def settle_lost(self, output: wire.RespondedWire) -> None:
        """Settle a turn that had ended before this run: the one that ended it may have died before it settled."""
        if self.context.next_request is None and "cost" not in output:
            turn = {name: value for name, value in self.context.request.items() if name != "continued"}
            await self.turns.steps[wire.SETTLE](self.request_of(Call(wire.SETTLE, turn)))

    async def entry(self, yielded: Any) -> dict[str, Any]:
        """Return the recorded result of a step, or run it and record its result."""
        if self.number == len(self.context.results):
            entry = await self.result(yielded)
            self.context.results.append({**entry, "at": self.turns.clock.now()})
            if must_be_kept(yielded, entry):
                await self.store()
                forget_turn()
                self.give_back()
        self.number += 1
        return self.context.results[self.number - 1]

    def give_back(self) -> None:
        """Suspend a turn that has run for long, once its results are stored; raises TurnSuspended."""
        if self.turns.clock.now() >= self.started_at + LONGEST_S:
            raise TurnSuspended(SHORT_S)

    async def store(self) -> None:
        context = self.context
        run = {"request": context.request, "began_at": self.began_at, "results": context.results}
        await self.save({**run, "version": context.version})

    async def result(self, yielded: Any) -> dict[str, Any]:
        """Run what the orchestrator asks for; an error is raised where a retry, or a budget later on, can help."""
        if isinstance(yielded, Together):
            return {"value": [await self.never_raising(call) for call in yielded.calls]}
        if isinstance(yielded, Call):
            try:
                return {"value": await self.turns.steps[yielded.name](self.request_of(yielded))}
            except (Retryable, BudgetSpent):
                raise
            except Exception as error:  # noqa: BLE001 - as the host does, a failed step is the orchestrator's to judge
                return {"failure": f"{yielded.name} failed: {type(error).__name__}"}
        return {"value": await self.wait(cast("Sequence[TimerOrEvent]", yielded))}

    async def never_raising(self, call: Call) -> Any:
        """Run a step whose failure is a value. The route warms up what a line prefers, and nothing else is to start."""
        if call.name == wire.ANTICIPATE and self.prefers:
            return {"value": NOTHING_TO_WARM_UP, "problem": ""}
        return await never_raises(self.turns.steps[call.name])(call.request)

    def request_of(self, call: Call) -> Any:
        """Return the request of a step; the one that settles gets what the turn has used: one execution, ours."""
        if call.name == wire.ROUTE and self.prefers:
            return {**call.request, "prefers": self.prefers}
        if call.name != wire.SETTLE:
            return call.request
        seconds = self.turns.clock.now() - self.started_at
        spent = {"units": round(self.charge.units, 2), "seconds": round(seconds, 3), "executions": 1}
        return {**call.request, "spent": spent}

    async def wait(self, waits: Sequence[TimerOrEvent]) -> int:
        """Return the index of the timer once it has fired; raises TurnSuspended where that takes long."""
        index = next(index for index, each in enumerate(waits) if each.at is not None)
        delay_s = (waits[index].at or 0.0) - self.turns.clock.now()
        if delay_s > SHORT_S:
            await self.store()
            raise TurnSuspended(delay_s)
        await self.turns.clock.sleep(max(delay_s, 0.0))
        return index


def new_run(turn: wire.RespondWire, *, at: float) -> dict[str, Any]:
    """Return what is stored of a turn that has not begun."""
    return {"request": turn, "began_at": at, "results": [], "version": VERSION}


def must_be_kept(yielded: Any, entry: Mapping[str, Any]) -> bool:
    """Return whether a call was made that must not be made again, and that does not end the turn."""
    calls = yielded.calls if isinstance(yielded, Together) else [yielded] if isinstance(yielded, Call) else []
    if not any(call.name in PAID for call in calls) or "failure" in entry:
        return False
    value: Any = entry["value"]
    return isinstance(value, list) or value.get("result") not in ENDINGS


def sent_value(entry: Mapping[str, Any], yielded: Any) -> Any:
    """Return what the orchestrator is sent: a result, or the timer of a race; each replay creates that anew."""
    return entry["value"] if isinstance(yielded, Call | Together) else yielded[entry["value"]]
