"""How does a test run the steps of an orchestrator one by one, without a host?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from azure.durable_functions import RetryOptions

from domain.packed_wire import plain_request
from orchestrators.context import Steps
from tests.orchestrators.durable_host import VERSION


@dataclass(eq=False, slots=True)
class Task:
    """What an orchestrator yields; `until` is when a timer fires, in seconds since the epoch."""

    name: str
    request: Any = None
    until: float = 0.0
    parts: tuple["Task", ...] = ()
    retries: bool = False
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True

    @property
    def timer(self) -> "Task":
        return next(each for each in self.parts if each.name == "timer")


@dataclass(slots=True)
class ScriptedContext:
    """A context at the time `now`, in seconds since the epoch; `yielded` are the tasks that were waited for."""

    version: str | None = VERSION
    now: float = 1000.0
    yielded: list[Task] = field(default_factory=list[Task])
    events: dict[str, Task] = field(default_factory=dict[str, Task])

    @property
    def current_utc_datetime(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)

    def get_input(self) -> Any:
        return None

    def new_uuid(self) -> str:
        return "uuid"

    def call_activity(self, name: str, input_: Any) -> Task:
        return Task(name, plain_request(name, input_))

    def call_activity_with_retry(self, name: str, retry_options: RetryOptions, input_: Any) -> Task:
        return Task(name, plain_request(name, input_), retries=bool(retry_options))

    def create_timer(self, fire_at: datetime) -> Task:
        return Task("timer", until=fire_at.timestamp())

    def wait_for_external_event(self, name: str) -> Task:
        return self.events.setdefault(name, Task(name))

    def task_all(self, activities: Sequence[Any]) -> Task:
        return Task("all", parts=tuple(activities))

    def task_any(self, activities: Sequence[Any]) -> Task:
        return Task("any", parts=tuple(activities))

    def continue_as_new(self, input_: Any) -> None:
        raise NotImplementedError(input_)

    def run[T](self, steps: Steps[T], answer: Callable[[Task], Any]) -> T:
        """Return the result of the steps. `answer` gives each task its result; an exception is that of the task."""
        result: Any = None
        try:
            task = next(steps)
            while True:
                self.yielded.append(task)
                result = answer(task)
                task = steps.throw(result) if isinstance(result, Exception) else steps.send(result)
        except StopIteration as end:
            return end.value

    def fire(self, task: Task) -> Task:
        """Let the timer among these tasks fire, and return it."""
        self.now = task.timer.until
        return task.timer
