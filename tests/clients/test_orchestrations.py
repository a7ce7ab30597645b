"""Does an orchestration start once and receive its signal, and is a host that fails reported as unavailable?"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.durable_functions.models.DurableOrchestrationStatus import DurableOrchestrationStatus

from clients.orchestrations import DurableOrchestrations, turn_wire
from domain.errors import Unavailable
from domain.turns.response import Response, ResponseOptions
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

RESPONSE = Response(
    id=f"resp_{'a' * 24}{'b' * 24}",
    owner=OWNER,
    created_at=0.0,
    deadline_at=9.0,
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    options=ResponseOptions(model="model"),
)


@dataclass(slots=True)
class FakeDurableClient:
    """Answers like the SDK's client; `failing` names the calls that raise a plain Exception, like the SDK does."""

    status: Any = None
    failing: frozenset[str] = frozenset()
    calls: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])

    async def start_new(self, orchestration_function_name: str, instance_id: str, client_input: Any) -> str:
        await self.record("start_new", orchestration_function_name, instance_id, client_input)
        return instance_id

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any) -> None:
        await self.record("raise_event", instance_id, event_name, event_data)

    async def get_status(self, instance_id: str) -> Any:
        await self.record("get_status", instance_id)
        return DurableOrchestrationStatus.from_json(self.status or {})

    async def record(self, name: str, *arguments: Any) -> None:
        await asyncio.sleep(0)
        self.calls.append((name, *arguments))
        if name in self.failing:
            raise Exception(f"The operation failed with an unexpected status code of 500: {name}")  # noqa: TRY002 - as the SDK


def status_of(status: str) -> Mapping[str, Any]:
    return {"name": "respond", "instanceId": RESPONSE.id, "runtimeStatus": status}


async def test_a_start_passes_only_ids_to_the_host() -> None:
    client = FakeDurableClient()
    await DurableOrchestrations(client, FakeClock(seed=1)).start(RESPONSE)
    request = {**turn_wire(RESPONSE), "start": FakeClock(seed=1).token()}
    assert client.calls == [("start_new", "respond", RESPONSE.id, request)]
    assert turn_wire(RESPONSE) == {
        "tenant": OWNER.tenant,
        "subject": OWNER.subject,
        "response": RESPONSE.id,
        "traceparent": RESPONSE.traceparent,
    }


async def test_each_start_has_its_own_token_from_the_clock_of_the_composition() -> None:
    client, clock = FakeDurableClient(), FakeClock(seed=2)
    for _ in range(2):
        await DurableOrchestrations(client, clock).start(RESPONSE)
    first, second = (request["start"] for *_, request in client.calls)
    repeated = FakeClock(seed=2)
    assert [first, second] == [repeated.token(), repeated.token()]
    assert first != second


@pytest.mark.parametrize("status", ["Pending", "Running", "Suspended", "ContinuedAsNew"])
async def test_starting_an_orchestration_that_runs_already_succeeds(status: str) -> None:
    client = FakeDurableClient(status=status_of(status), failing=frozenset({"start_new"}))
    await DurableOrchestrations(client, FakeClock()).start(RESPONSE)


@pytest.mark.parametrize("status", ["Completed", "Failed", "Terminated", "Canceled"])
async def test_a_start_that_fails_while_nothing_runs_raises_unavailable(status: str) -> None:
    client = FakeDurableClient(status=status_of(status), failing=frozenset({"start_new"}))
    with pytest.raises(Unavailable):
        await DurableOrchestrations(client, FakeClock()).start(RESPONSE)


@pytest.mark.parametrize("failing", [{"start_new"}, {"start_new", "get_status"}])
async def test_a_host_that_does_not_answer_is_unavailable(failing: set[str]) -> None:
    with pytest.raises(Unavailable, match=r"Exception$"):
        await DurableOrchestrations(FakeDurableClient(failing=frozenset(failing)), FakeClock()).start(RESPONSE)


@pytest.mark.parametrize(
    ("status", "is_running"),
    [
        (None, False),
        ("Running", True),
        ("Pending", True),
        ("Completed", False),
        ("Failed", False),
        ("Terminated", False),
    ],
)
async def test_an_orchestration_is_running_until_it_has_ended(status: str | None, is_running: bool) -> None:  # noqa: FBT001 - a column of the table
    client = FakeDurableClient(status=status_of(status) if status else None)
    assert await DurableOrchestrations(client, FakeClock()).is_running(RESPONSE.id) is is_running


async def test_an_unknown_status_raises_unavailable() -> None:
    with pytest.raises(Unavailable):
        await DurableOrchestrations(FakeDurableClient(failing=frozenset({"get_status"})), FakeClock()).is_running(
            RESPONSE.id
        )


async def test_a_running_orchestration_receives_the_signal() -> None:
    client = FakeDurableClient(status=status_of("Running"))
    await DurableOrchestrations(client, FakeClock()).signal_cancelled(RESPONSE.id)
    assert client.calls[-1] == ("raise_event", RESPONSE.id, "cancelled", {})


async def test_an_ended_orchestration_receives_no_signal() -> None:
    client = FakeDurableClient(status=status_of("Completed"))
    await DurableOrchestrations(client, FakeClock()).signal_cancelled(RESPONSE.id)
    assert [name for name, *_ in client.calls] == ["get_status"]


@pytest.mark.parametrize("failing", ["get_status", "raise_event"])
async def test_a_failed_signal_is_ignored(failing: str) -> None:
    client = FakeDurableClient(status=status_of("Running"), failing=frozenset({failing}))
    await DurableOrchestrations(client, FakeClock()).signal_cancelled(RESPONSE.id)
    assert client.calls[-1][0] == failing
