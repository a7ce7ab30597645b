"""Does each check of the store and of the task hub name its fault alone?"""

from random import Random

import pytest

from tests.fakes.clocks import FakeClock
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.ganglion.doctor.faults import HOST, Break, check_that_names_alone, found, setting, unreachable, unset
from tests.ganglion.doctor.harness import NOW, Case


def shared_hub(case: Case) -> None:
    case.app = "green"
    other_place = "Endpoint=https://other.example;TaskHub=ganglion"
    case.outside.apps = {
        "green": case.variables,
        "shop": {"AzureWebJobsStorage__accountName": "account"},
        "away": {**case.variables, "DURABLE_TASK_SCHEDULER_CONNECTION_STRING": other_place},
        "apart": {**case.variables, f"{HOST}hubName": "apart"},
    }
    case.outside.apps["blue"] = dict(case.variables)


def weak_consistency(case: Case) -> None:
    case.outside.level = "Session"


def no_container(case: Case) -> None:
    case.outside.stored["money"] = None


def broken_store(case: Case) -> None:
    memory = MemoryStore(FakeClock(start=NOW))
    case.outside.store_port = FlakyStore(memory, Random(0), Faults(at={0: Fault.UNAVAILABLE}))  # noqa: S311


FAULTS: dict[str, Break] = {
    "store.account": setting("GANGLION_COSMOS_URL", "http://account.documents.azure.com"),
    "store.reach": unreachable("account.documents.azure.com"),
    "store.consistency": weak_consistency,
    "store.containers": no_container,
    "store.access": broken_store,
    "hub.name": setting(f"{HOST}hubName", "my-hub"),
    "hub.storage": unset("AzureWebJobsStorage__accountName"),
    "hub.keys": setting("AzureWebJobsStorage", "AccountName=account;AccountKey=abcdefgh"),
    "hub.scheduler": unset("DURABLE_TASK_SCHEDULER_CONNECTION_STRING"),
    "hub.shared": shared_hub,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


async def test_an_app_that_shares_the_hub_is_named_and_no_other(case: Case) -> None:
    shared_hub(case)
    ((text,),) = (await found(case)).values()
    assert text == "the app blue uses the same task hub (https://hub.example, ganglion): each takes steps of the other"
