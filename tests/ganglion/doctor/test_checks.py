"""Is each check known by its fault, and does a healthy application have none?"""

from ganglion.doctor.checks import CHECKS
from ganglion.doctor.command import examine
from settings import ROOT
from tests.checks import every
from tests.ganglion.doctor.areas import (
    test_backend_checks,
    test_blob_checks,
    test_clock_checks,
    test_file_checks,
    test_identity_checks,
    test_infrastructure_checks,
    test_memory_checks,
    test_model_checks,
    test_package_checks,
    test_pipeline_checks,
    test_settings_checks,
    test_store_checks,
)
from tests.ganglion.doctor.faults import ABOUT_A_COUNT, found
from tests.ganglion.doctor.harness import Case

ABOUT_AN_APP = {"hub.shared", "boards.present", "telemetry.arrival"}
"""Checks that ask Azure about an app by its name."""

AREAS = (
    test_backend_checks,
    test_blob_checks,
    test_clock_checks,
    test_file_checks,
    test_identity_checks,
    test_infrastructure_checks,
    test_memory_checks,
    test_model_checks,
    test_package_checks,
    test_pipeline_checks,
    test_settings_checks,
    test_store_checks,
)


def test_every_check_has_a_fault_and_a_name_of_its_own() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names) >= 40
    broken = [name for area in AREAS for name in area.FAULTS]
    assert sorted([*broken, "host.polling"]) == sorted(names)


async def test_a_healthy_application_has_no_finding_and_every_check_runs(case: Case) -> None:
    results = await examine(case.subject())
    not_run = {result.check.name: result.not_run for result in results if result.not_run}
    assert not_run.keys() == ABOUT_AN_APP | ABOUT_A_COUNT
    assert await found(case) == {}


async def test_with_the_name_of_an_app_azure_is_asked_about_it(case: Case) -> None:
    case.app = "green"
    results = await examine(case.subject())
    assert not ABOUT_AN_APP & {result.check.name for result in results if result.not_run or result.faults}


def test_every_check_names_a_page_that_exists() -> None:
    pages = {check.doc.partition("#")[0] for check in CHECKS}
    assert every((ROOT / page).is_file() for page in pages)
