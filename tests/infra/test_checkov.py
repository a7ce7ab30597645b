"""Does checkov read every file of the infrastructure, and is each of its findings answered in infra/checkov.yaml?"""

import json
import subprocess

import pytest

from settings import ROOT
from tests.checks import every
from tests.conformance.installing import checkov_kit

pytestmark = [pytest.mark.campaign, pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(900)]


def test_no_finding_is_unanswered_and_no_file_is_unread() -> None:
    command = (checkov_kit(), "--config-file", "infra/checkov.yaml", "--output", "json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603
    reports = {each["check_type"]: each for each in json.loads(done.stdout)}
    assert reports.keys() == {"bicep", "terraform"}
    assert [each for report in reports.values() for each in report["results"]["failed_checks"]] == []
    assert {kind: report["summary"]["parsing_errors"] for kind, report in reports.items()} == dict.fromkeys(reports, 0)
    assert every(report["summary"]["passed"] > 20 for report in reports.values())
