"""Do azure.yaml and the pipelines have the shape that their services read, and do they need no secret?

`azd_schema.json` is schemas/v1.0/azure.yaml.json of github.com/Azure/azure-dev (MIT, Copyright (c) Microsoft
Corporation, 2026-08-21). The schemas of the pipelines come with the package check-jsonschema.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest

from settings import ROOT
from tests.checks import every
from tests.conformance.installing import query_kits

AZD = Path(__file__).with_name("azd_schema.json")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PIPELINE = ROOT / "azure-pipelines.yml"
OF_GITHUB = ("--builtin-schema", "vendor.github-workflows")
OF_AZURE = (
    "--builtin-schema",
    "vendor.azure-pipelines",
    "--data-transform",
    "azure-pipelines",
    "--regex-variant",
    "python",
)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("schema", "files", "fault"),
    [
        (("--schemafile", str(AZD)), [ROOT / "azure.yaml"], ("shell: sh", "shell: bash")),
        (OF_GITHUB, WORKFLOWS, ("runs-on:", "run-on:")),
        (OF_AZURE, [PIPELINE], ("strategy:", "strategi:")),
    ],
    ids=["azd", "github", "azure"],
)
def test_the_schema_of_the_service_accepts_the_file(
    schema: tuple[str, ...], files: list[Path], fault: tuple[str, str], tmp_path: Path
) -> None:
    judge = query_kits().parent / "check-jsonschema"
    assert passes(judge, schema, files)
    for file in files:
        wrong = tmp_path / file.name
        wrong.write_text(file.read_text().replace(*fault))
        assert not passes(judge, schema, [wrong]), file


def passes(judge: Path, schema: tuple[str, ...], files: list[Path]) -> bool:
    done = subprocess.run((judge, *schema, *files), capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    return done.returncode == 0


@pytest.mark.parametrize("file", [*WORKFLOWS, PIPELINE], ids=lambda file: file.name)
def test_a_pipeline_has_no_secret_and_calls_commands_that_exist(file: Path) -> None:
    text = file.read_text()
    assert "secrets." not in text
    assert not re.search(r"password|client-secret|publish-profile", text, re.IGNORECASE)
    targets = set(re.findall(r"\bmake (?:-C \S+ )?([a-z-]+)", text))
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets <= made
    assert targets
    for script in re.findall(r"\bscripts/\S+\.sh", text):
        assert (ROOT / script).stat().st_mode & 0o111


def test_github_signs_in_by_federation() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "id-token: write" in text
    assert "azure/login@" in text


def test_the_hooks_of_azd_call_steps_that_exist() -> None:
    text = (ROOT / "azure.yaml").read_text()
    steps = set(re.findall(r"STEP=(\S+)", text))
    known = (ROOT / "scripts" / "deployment" / "__main__.py").read_text()
    assert steps == {"before-provision", "after-deployment", "before-removal"}
    assert every(f'"{step}"' in known for step in steps)
    assert "python -m scripts.deployment before-provision --dry-run" in text


def test_the_tasks_of_the_editor_call_targets_that_exist() -> None:
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text())["tasks"]
    made = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {task["command"].split()[1] for task in tasks} <= made
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make setup"
