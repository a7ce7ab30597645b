"""Does each check of the settings name its fault alone?"""

import pytest

from ganglion.doctor.command import examine
from tests.ganglion.doctor.faults import HOST, Break, check_that_names_alone, found, setting, unset
from tests.ganglion.doctor.harness import Case


def key_file(case: Case) -> None:
    file = case.root / "key.json"
    file.write_text('{"private_key": "…"}', encoding="utf-8")
    case.variables["GOOGLE_APPLICATION_CREDENTIALS"] = str(file)


FAULTS: dict[str, Break] = {
    "settings.values": setting("GANGLION_BODY_LIMIT", "0"),
    "settings.misspelled": setting("GANGLION_BUDGET_TENNANT_DAY", "5"),
    "settings.unknown": setting("GANGLION_SILENCE", "5"),
    "settings.host_names": setting(f"{HOST}hubNam", "ganglion"),
    "settings.strict_typing": unset("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"),
    "settings.reserved": setting("WEBSITE_RUN_FROM_PACKAGE", "1"),
    "settings.budgets": unset("GANGLION_BUDGET_TENANT_MONTH"),
    "settings.budget_sizes": setting("GANGLION_BUDGET_RESPONSE", "0.2"),
    "settings.sync_wait": setting("GANGLION_SYNC_WAIT_S", "230"),
    "settings.handover": setting("GANGLION_HANDOVER_S", "600"),
    "settings.stream": setting("GANGLION_STREAM_S", "1800"),
    "settings.sweeper": setting("GANGLION_SWEEP_SILENT_S", "480"),
    "settings.credentials": unset("GANGLION_GOOGLE_SERVICE_ACCOUNT"),
    "settings.key_file": key_file,
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


async def test_the_command_for_a_budget_gives_it_at_least_what_is_needed(case: Case) -> None:
    case.variables["GANGLION_BUDGET_OWNER_DAY"] = "0.000000001"
    (result,) = (each for each in await examine(case.subject()) if each.faults)
    name, _, amount = result.faults[0].fix.rpartition(" ")[2].partition("=")
    case.variables[name] = amount
    assert await found(case) == {}


@pytest.mark.parametrize(("budget", "effect"), [("0.2", "they are never used"), ("0.000000001", "no turn can run")])
async def test_a_budget_below_a_backends_worst_case_is_named_with_the_amount(
    case: Case, budget: str, effect: str
) -> None:
    case.variables["GANGLION_BUDGET_OWNER_DAY"] = budget
    ((text,),) = (await found(case)).values()
    assert text.startswith("GANGLION_BUDGET_OWNER_DAY: ")
    assert effect in text
    assert "cloud-run-l4 $0." in text
