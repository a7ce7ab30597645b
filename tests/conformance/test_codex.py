"""Does Codex CLI work out of the box, with this service as a custom provider?"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.conformance.installing import CODEX_LOCKS, NODE, codex_cli
from tests.conformance.judging import judge
from tests.conformance.programs import Finding, said_by

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CONFIG = """
model = "auto"
model_provider = "ganglion"
[model_providers.ganglion]
name = "Ganglion"
base_url = "{url}/v1"
env_key = "TOKEN"
wire_api = "responses"
"""

CHECKS: Mapping[str, tuple[str, str]] = {
    "text": ("ECHO hello from the model", "hello from the model"),
    "exec loop": ('CALL exec_command {"cmd": "expr 6 \\\\* 7"}', "\n42"),
    "get_goal": ("CALL get_goal {}", "get_goal said: "),
    "view_image": ('CALL view_image {"path": "pixel.png"}', f"[image/png, {len(PIXEL)} bytes]"),
}
"""What Codex is asked, and what its last words contain if the model, the tool and the result came together."""


async def last_words(cluster: LocalCluster, folder: Path, prompt: str) -> str:
    """Return what Codex printed as the answer to a prompt."""
    home, words = folder / "home", folder / "words.txt"
    home.mkdir()
    (home / "config.toml").write_text(CONFIG.format(url=cluster.base_url), encoding="utf-8")
    (folder / "pixel.png").write_bytes(PIXEL)
    command = (NODE, codex_cli(), "exec", "--skip-git-repo-check", "--output-last-message", words, prompt)
    await said_by(*command, environment={"CODEX_HOME": str(home), "TOKEN": cluster.token()}, folder=folder)
    return words.read_text(encoding="utf-8")


async def test_codex_cli_works_out_of_the_box(scripted_cluster: LocalCluster, tmp_path: Path) -> None:
    version = json.loads(CODEX_LOCKS[0].read_text(encoding="utf-8"))["dependencies"]["@openai/codex"]
    findings: list[Finding] = []
    for name, (prompt, expected) in CHECKS.items():
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        words = await last_words(scripted_cluster, folder, prompt)
        problem = None if expected in words else f"{expected!r} is not in {words!r}"
        findings.append(Finding(kit=f"@openai/codex {version}", check=name, problem=problem))
    judge("Codex CLI, unmodified, with a custom provider", findings, {})
