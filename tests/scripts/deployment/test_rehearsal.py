"""Does a dry run print each step and run none?"""

import subprocess
import sys

from scripts.deployment.rehearsal import ENVIRONMENT
from scripts.deployment.steps import before_provision
from settings import ROOT
from tests.scripts.deployment.fake_clouds import FakeClouds, programs


def test_a_dry_run_prints_every_step_and_runs_none() -> None:
    command = (sys.executable, "-m", "scripts.deployment", "before-provision", "--dry-run")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - ours
    clouds = FakeClouds()
    before_provision(clouds, ENVIRONMENT)
    printed = [line.split()[0] for line in done.stdout.splitlines()]
    assert printed == programs(clouds.calls)
