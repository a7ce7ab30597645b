"""Is an orchestration started once, woken where it can be, and is a host that doesn't answer told as such?"""

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
    """Answers as the SDK's client does; `failing` are the calls that raise what it raises: a plain Exception."""

    status: Any = None
    failing: frozenset[str] = frozenset()
    calls: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])

    async def start_new(self, orchestration_function_name: str, instance_id: str, client_input: Any) -> str:
        await self.called("start_new", orchestration_function_name, instance_id, client_input)
        return instance_id

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any) -> None:
        await self.called("raise_event", instance_id, event_name, event_data)

    async def get_status(self, instance_id: str) -> Any:
        await self.called("get_status", instance_id)
        return DurableOrchestrationStatus.from_json(self.status or {})

    async def called(self, name: str, *arguments: Any) -> None:
        await asyncio.sleep(0)
        self.calls.append((name, *arguments))
        if name in self.failing:
            raise Exception(f"The operation failed with an unexpected status code of 500: {name}")  # noqa: TRY002 - as the SDK


def running(status: str) -> Mapping[str, Any]:
    return {"name": "respond", "instanceId": RESPONSE.id, "runtimeStatus": status}


async def test_a_start_gives_ids_alone_over_to_the_host() -> None:
    client = FakeDurableClient()
    await DurableOrchestrations(client, FakeClock(seed=1)).start(RESPONSE)
    given = {**turn_wire(RESPONSE), "start": FakeClock(seed=1).token()}
    assert client.calls == [("start_new", "respond", RESPONSE.id, given)]
    assert turn_wire(RESPONSE) == {
        "tenant": OWNER.tenant,
        "subject": OWNER.subject,
        "response": RESPONSE.id,
        "traceparent": RESPONSE.traceparent,
    }


async def test_each_start_has_a_name_of_its_own() -> None:
    client = FakeDurableClient()
    for _ in range(2):
        await DurableOrchestrations(client).start(RESPONSE)
    first, second = (given["start"] for *_, given in client.calls)
    assert first != second


@pytest.mark.parametrize("status", ["Pending", "Running", "Suspended", "ContinuedAsNew"])
async def test_a_start_that_fails_because_it_runs_already_is_no_failure(status: str) -> None:
    client = FakeDurableClient(status=running(status), failing=frozenset({"start_new"}))
    await DurableOrchestrations(client).start(RESPONSE)


@pytest.mark.parametrize("status", ["Completed", "Failed", "Terminated", "Canceled"])
async def test_a_start_that_fails_though_nothing_runs_is_told(status: str) -> None:
    client = FakeDurableClient(status=running(status), failing=frozenset({"start_new"}))
    with pytest.raises(Unavailable):
        await DurableOrchestrations(client).start(RESPONSE)


@pytest.mark.parametrize("failing", [{"start_new"}, {"start_new", "get_status"}])
async def test_a_host_that_does_not_answer_is_unavailable(failing: set[str]) -> None:
    with pytest.raises(Unavailable, match=r"Exception$"):
        await DurableOrchestrations(FakeDurableClient(failing=frozenset(failing))).start(RESPONSE)


@pytest.mark.parametrize(
    ("status", "alive"),
    [
        (None, False),
        ("Running", True),
        ("Pending", True),
        ("Completed", False),
        ("Failed", False),
        ("Terminated", False),
    ],
)
async def test_an_orchestration_is_alive_until_it_has_ended(status: str | None, alive: bool) -> None:  # noqa: FBT001 - a column of the table
    client = FakeDurableClient(status=running(status) if status else None)
    assert await DurableOrchestrations(client).alive(RESPONSE.id) is alive


async def test_whether_it_is_alive_is_not_guessed() -> None:
    with pytest.raises(Unavailable):
        await DurableOrchestrations(FakeDurableClient(failing=frozenset({"get_status"}))).alive(RESPONSE.id)


async def test_an_orchestration_that_runs_is_woken() -> None:
    client = FakeDurableClient(status=running("Running"))
    await DurableOrchestrations(client).signal_cancelled(RESPONSE.id)
    assert client.calls[-1] == ("raise_event", RESPONSE.id, "cancelled", {})


async def test_an_orchestration_that_has_ended_is_left_alone() -> None:
    client = FakeDurableClient(status=running("Completed"))
    await DurableOrchestrations(client).signal_cancelled(RESPONSE.id)
    assert [name for name, *_ in client.calls] == ["get_status"]


@pytest.mark.parametrize("failing", ["get_status", "raise_event"])
async def test_a_wake_up_that_fails_harms_nobody(failing: str) -> None:
    client = FakeDurableClient(status=running("Running"), failing=frozenset({failing}))
    await DurableOrchestrations(client).signal_cancelled(RESPONSE.id)
    assert client.calls[-1][0] == failing
