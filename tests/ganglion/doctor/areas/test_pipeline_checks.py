"""Does each check of the pipelines name its fault alone?"""

import pytest

from tests.ganglion.doctor.faults import Break, check_that_names_alone, edit, found, unset
from tests.ganglion.doctor.harness import Case

FAULTS: dict[str, Break] = {
    "pipelines.references": edit("pipelines.toml", 'model = "auto"', 'model = "gpt-9"'),
    "pipelines.queues": unset("TICKETS__queueServiceUri"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


@pytest.mark.parametrize("name", ["TICKETS", "AzureWebJobsTICKETS", "TICKETS__accountName"])
async def test_every_setting_by_which_the_host_finds_a_queue_is_one(case: Case, name: str) -> None:
    case.variables[name] = case.variables.pop("TICKETS__queueServiceUri")
    assert await found(case) == {}
