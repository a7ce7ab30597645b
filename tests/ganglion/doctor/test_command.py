"""What does the command print, what does it exit with, and what does it keep to itself?"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clients.backends.credentials import Hop
from ganglion.__main__ import main
from ganglion.doctor.command import as_json, as_text, examine, examined
from ganglion.doctor.findings import redacted
from ganglion.doctor.subject import Subject
from settings import ROOT
from standins.cluster.local_cluster import LocalCluster
from standins.cluster.process_specs import ClusterOptions
from tests.fakes.clocks import FakeClock
from tests.ganglion.doctor.harness import Case, healthy_case


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "ganglion", "doctor", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return healthy_case(tmp_path)


async def test_a_finding_names_fault_command_and_page(case: Case) -> None:
    case.variables["GANGLION_BUDGET_TENNANT_DAY"] = "5"
    subject = case.subject()
    text = as_text(await examine(subject), subject.target)
    lines = text.splitlines()
    assert lines[0].startswith("error    settings.misspelled: GANGLION_BUDGET_TENNANT_DAY: ")
    assert lines[1].strip().startswith("fix: export GANGLION_BUDGET_TENANT_DAY=")
    assert lines[2].strip() == "see: docs/operations.md#settings"
    assert lines[-1] == "89 checks: 84 passed, 0 with warnings, 1 with errors, 4 not run"


async def test_many_checks_that_wait_for_the_same_correction_are_one_line(case: Case) -> None:
    del case.variables["GANGLION_TOKEN_AUDIENCE"]
    subject = case.subject()
    results = await examine(subject)
    waiting = [each for each in results if each.not_run == "correct the errors of settings.values first"]
    lines = as_text(results, subject.target).splitlines()
    assert len(waiting) > 20
    assert [line for line in lines if "settings.values first" in line] == [
        f"not run  {len(waiting)} checks, listed by --json: correct the errors of settings.values first"
    ]


async def test_json_says_the_same_and_a_check_that_could_not_run_has_not_passed(case: Case) -> None:
    case.variables["GANGLION_TELEMETRY"] = "console"
    subject = case.subject()
    listed = json.loads(as_json(await examine(subject), subject.target))["checks"]
    status = {each["name"]: each["status"] for each in listed}
    assert (status["telemetry.console"], status["hub.shared"], status["store.access"]) == (
        "warning",
        "not run",
        "passed",
    )
    (finding,) = next(each for each in listed if each["name"] == "telemetry.console")["findings"]
    assert set(finding) == {"severity", "fault", "fix"}
    assert "use --app NAME" in next(each["reason"] for each in listed if each["name"] == "hub.shared")


def test_the_command_says_which_version_this_checkout_has(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"ganglion \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_secrets_of_settings_and_addresses_are_hidden() -> None:
    text = "whsec_abcdef at https://user:word@host/, 12 tokens"
    hidden = redacted(text, {"GANGLION_WEBHOOK_SECRET": "whsec_abcdef", "GANGLION_MAX_TOKENS": "12"})
    assert hidden == "*** at https://***@host/, 12 tokens"


def test_an_unconfigured_machine_gets_one_finding_for_each_missing_setting() -> None:
    done = doctor(PORT="1")
    assert done.returncode == 1
    assert "GANGLION_TOKEN_AUDIENCE is not set" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        (["--app", "mine"], {"PATH": "/nowhere"}, "Azure CLI"),
        ([], {"PORT": "harbour"}, "PORT=harbour"),
        (["--depth", "2"], {}, "unrecognized arguments"),
    ],
)
def test_wrong_usage_exits_with_2_and_one_reason(
    arguments: list[str], environment: dict[str, str], reason: str
) -> None:
    done = doctor(*arguments, **environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


AZ = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *"config appsettings list"*) echo '[{{"name": "GANGLION_STORE", "value": "sqlite"}}]' ;;
  "functionapp list --query"*) echo '"group"' ;;
  *) echo '[]' ;;
esac
"""


def test_an_app_in_azure_is_examined_with_the_settings_that_az_lists(tmp_path: Path) -> None:
    az = tmp_path / "az"
    az.write_text(AZ.format(log=tmp_path / "log"))
    az.chmod(0o700)
    done = doctor("--app", "mine", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1
    assert "GANGLION_STORE: sqlite works on one machine only" in done.stdout
    assert "az functionapp config appsettings set --name mine" in done.stdout
    calls = (tmp_path / "log").read_text().splitlines()
    assert calls[1] == "functionapp config appsettings list --name mine --resource-group group --output json"


@pytest.mark.slow
def test_a_running_set_of_stand_ins_is_healthy(tmp_path: Path) -> None:
    with LocalCluster(ClusterOptions(data=tmp_path, cold="1", warm_models=True)) as cluster:
        done = doctor("--json", PORT=str(cluster.port), GANGLION_ACCESS_TOKEN=cluster.token())
        cluster.kill_model("scripted")
        broken = doctor("--json", PORT=str(cluster.port), GANGLION_ACCESS_TOKEN=cluster.token())
    assert done.returncode == 0, done.stdout
    listed = {each["name"]: each["status"] for each in json.loads(done.stdout)["checks"]}
    assert set(listed.values()) == {"passed", "not run"}
    assert listed["identity.google_iam"] == listed["backends.models"] == listed["app.ready"] == "passed"
    findings = {each["name"] for each in json.loads(broken.stdout)["checks"] if each["findings"]}
    assert (broken.returncode, findings) == (1, {"backends.reach"})


async def test_the_doctor_waits_while_only_a_role_is_missing_and_says_so(case: Case) -> None:
    clock, said = FakeClock(), list[str]()
    case.outside.denied["azure-openai"] = Hop.IDENTITY

    def make_subject() -> Subject:
        if len(said) == 2:
            case.outside.denied.clear()
        return case.subject()

    results, _ = await examined(make_subject, clock, wait_s=600, say=said.append)
    assert not [each for each in results if each.faults]
    assert len(said) == 2
    assert "identity.managed: a new role is in force after up to 10 minutes" in said[0]
    assert "(580 s left)" in said[1]


async def test_the_doctor_waits_no_longer_than_asked_and_for_no_other_error(case: Case) -> None:
    clock, said = FakeClock(), list[str]()
    case.outside.denied["azure-openai"] = Hop.IDENTITY
    results, _ = await examined(case.subject, clock, wait_s=30, say=said.append)
    assert [each.check.name for each in results if each.faults] == ["identity.managed"]
    assert len(said) == 2
    case.variables["GANGLION_BODY_LIMIT"] = "0"
    await examined(case.subject, clock, wait_s=600, say=said.append)
    assert len(said) == 2
