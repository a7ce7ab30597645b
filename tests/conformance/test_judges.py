"""What do those judges say who wrote no line of this?"""

import asyncio
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.conformance.aliases import MODEL, aliased
from tests.conformance.clusters import product_under_test
from tests.conformance.judges import HOME, PYTHON, SDK, set_up
from tests.conformance.page import Verdict, section, unexplained, write_section

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1100)]

COMPLY_REASONS: Mapping[str, str] = {
    "reasoning-summary": "skipped by the judge: no model on this machine reasons",
}

NO_ENTRIES = "sends `limit=0`; a list has 1 to 100 entries"
NOTHING_TO_READ = "sends neither `input` nor anything that the turn continues"
NOTHING_TO_COMPACT = "sends nothing to compact"

SDK_REASONS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "Completions::test_method_list_with_all_params",
            "InputItems::test_method_list_with_all_params",
            "Items::test_method_list_with_all_params",
            "Messages::test_method_list_with_all_params",
        ),
        NO_ENTRIES,
    ),
    **dict.fromkeys(
        (
            "Responses::test_method_create_overload_1",
            "Responses::test_method_create_overload_2",
            "Responses::test_raw_response_create_overload_1",
            "Responses::test_raw_response_create_overload_2",
            "Responses::test_streaming_response_create_overload_1",
            "Responses::test_streaming_response_create_overload_2",
        ),
        NOTHING_TO_READ,
    ),
    "Responses::test_method_compact_with_all_params": "expects only items of the model, but the SDK's own description "
    "of the field `output` has all user messages first",
    **dict.fromkeys(
        (
            "Responses::test_method_compact",
            "Responses::test_raw_response_compact",
            "Responses::test_streaming_response_compact",
        ),
        NOTHING_TO_COMPACT,
    ),
    "Responses::test_method_create_with_all_params": "gives `previous_response_id` and `conversation`, which exclude "
    "each other, and more that would change the answer",
}

LEAST_OF_THE_SDK = 490
UNHURRIED: Mapping[str, str] = {"GANGLION_OWNER_BURST": "5000", "GANGLION_TENANT_BURST": "5000"}
"""The suite sends more turns and writes in a few seconds than one caller may."""
SDK_TESTS = (
    "test_responses.py",
    "responses",
    "test_conversations.py",
    "conversations",
    "test_models.py",
    "chat",
)


@pytest.fixture(scope="module", autouse=True)
def judges() -> None:
    set_up()


async def comply(cluster: LocalCluster, form: str) -> Verdict:
    given = ("-u", f"{cluster.base_url}/v1", "-k", cluster.token(), "-m", MODEL, "--format", form, "--json")
    judge = await asyncio.create_subprocess_exec(
        str(HOME / "venv" / "bin" / "llm-comply"), *given, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await judge.communicate()
    results = json.loads(said)["results"]
    return Verdict(
        judge=f"llm-comply 0.5.0, {form}",
        total=len(results),
        failed=[each["id"] for each in results if each["status"] == "failed"],
        skipped=[each["id"] for each in results if each["status"] == "skipped"],
    )


@pytest.mark.parametrize("form", ["open-responses", "openai-chat"])
async def test_the_specifications_own_tests_pass_or_say_why_not(form: str, tmp_path: Path) -> None:
    with product_under_test(tmp_path, GANGLION_MODEL_REQUIRED="true") as cluster:
        found = await comply(cluster, form)
    write_section(section(found, COMPLY_REASONS))
    assert found.total == {"open-responses": 13, "openai-chat": 9}[form]
    assert unexplained(found, COMPLY_REASONS) == []


async def test_the_official_sdks_own_tests_pass_or_say_why_not(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    with product_under_test(tmp_path, **UNHURRIED) as cluster:
        async with aliased(cluster.base_url, cluster.token()) as url:
            await run_sdk_tests(url, report)
    found = verdict_in(report)
    write_section(section(found, SDK_REASONS))
    assert unexplained(found, SDK_REASONS) == []
    assert found.passed >= LEAST_OF_THE_SDK


async def run_sdk_tests(url: str, report: Path) -> None:
    tests = [f"tests/api_resources/{name}" for name in SDK_TESTS]
    options = ["-q", "-n2", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    environment = {**os.environ, "TEST_API_BASE_URL": url}
    judge = await asyncio.create_subprocess_exec(
        str(PYTHON),
        "-m",
        "pytest",
        *options,
        *tests,
        cwd=HOME / SDK,
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    await judge.wait()


def verdict_in(report: Path) -> Verdict:
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - our own judge's report
    failed = [name_of(case) for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return Verdict(judge=f"the official SDK's own tests, {SDK}", total=len(cases), failed=failed)


def name_of(case: ET.Element) -> str:
    """Return the name of a test without the kind of its client, of which each runs with two or three."""
    kind = case.get("classname", "").rpartition(".")[2].removeprefix("Test").removeprefix("Async")
    return f"{kind}::{re.sub(r'\[.*\]', '', case.get('name', ''))}"
