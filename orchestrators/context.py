"""Which part of the Durable Functions SDK do the orchestrators use? The SDK's own types are incomplete."""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from azure.durable_functions import RetryOptions

type Steps[T] = Generator[Any, Any, T]


class DurableTask(Protocol):
    """What an orchestrator yields to wait for a step."""


class DurableTimer(DurableTask, Protocol):
    def cancel(self) -> None: ...


class Context(Protocol):
    """The part of `DurableOrchestrationContext` that exists for both of the SDK's wire protocols."""

    @property
    def version(self) -> str | None: ...

    @property
    def current_utc_datetime(self) -> datetime: ...

    def get_input(self) -> Any: ...

    def new_uuid(self) -> UUID | str: ...

    def call_activity(self, name: str, input_: Any) -> DurableTask: ...

    def call_activity_with_retry(self, name: str, retry_options: RetryOptions, input_: Any) -> DurableTask: ...

    def create_timer(self, fire_at: datetime) -> DurableTimer: ...

    def wait_for_external_event(self, name: str) -> DurableTask: ...

    def task_all(self, activities: Sequence[Any]) -> Any: ...

    def task_any(self, activities: Sequence[Any]) -> Any: ...

    def continue_as_new(self, input_: Any) -> None: ...


class ParentContext(Context, Protocol):
    """The part of the context of an orchestrator that has children."""

    def call_sub_orchestrator(self, name: str, input_: Any, instance_id: str) -> DurableTask: ...
