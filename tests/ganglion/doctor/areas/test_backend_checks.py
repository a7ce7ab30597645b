"""Does each check of the backends and of the running app name its fault alone?"""

import pytest

from ganglion.doctor.outside import Answer
from tests.ganglion.doctor.faults import (
    ABOUT_A_COUNT,
    Break,
    addresses,
    answer,
    check_that_names_alone,
    found,
    unreachable,
)
from tests.ganglion.doctor.harness import APP, BACKENDS, Case, json_answer, models


def counted_service(case: Case) -> None:
    counted = f'scaling = "count"\ninstances = {{ service = "{SERVICE}" }}\nprice = "cloud-run-l4"'
    here = '[backends.cloud-run-l4]\nmodel = "llama-3.1-8b"\nsystem = "cloud-run"\n'
    url = 'url = "%GANGLION_CLOUD_RUN_L4_URL%"\n'
    case.edit("fleet.toml", f'{here}{url}price = "cloud-run-l4"', f"{here}{url}{counted}")


SERVICE = "projects/p/locations/us-central1/services/llm"

FAULTS: dict[str, Break] = {
    "backends.resolve": addresses("gpu.example"),
    "backends.reach": unreachable("gpu.example"),
    "backends.authenticate": answer("https://openai.example/v1/models", Answer(status=403)),
    "backends.models": answer("https://openai.example/v1/models", models("gpt-2")),
    "gpu.count": counted_service,
    "app.alive": answer(f"{APP}/healthz", Answer(status=500)),
    "app.ready": answer(f"{APP}/readyz", json_answer({"parts": {"store": "down"}, "backends": BACKENDS}, status=503)),
    "app.backends": answer(f"{APP}/readyz", json_answer({"backends": ["cloud-run-l4", "bedrock"]})),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name


async def test_a_counted_service_that_can_be_read_is_no_finding(case: Case) -> None:
    counted_service(case)
    case.outside.answers[f"https://run.googleapis.com/v2/{SERVICE}"] = json_answer({"name": SERVICE})
    assert await found(case) == {}


async def test_a_service_that_runs_more_instances_than_are_counted_is_a_finding(case: Case) -> None:
    counted_service(case)
    scaling = {"scalingMode": "MANUAL", "manualInstanceCount": 2}
    case.outside.answers[f"https://run.googleapis.com/v2/{SERVICE}"] = json_answer({"scaling": scaling})
    assert set(await found(case)) == ABOUT_A_COUNT
