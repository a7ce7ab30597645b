"""Does the summary name each test that ran again, and does `--fail-on-flaky` fail for it?"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FOLDER

FLAKY = """
from pathlib import Path

def test_it_passes_at_the_second_try(tmp_path_factory):
    mark = Path(__file__).with_name("tried")
    tried = mark.exists()
    mark.touch()
    assert tried, "the port is in use"
"""


def run_flaky_test(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run one test that fails at its first try among those that start processes."""
    place = folder / "tests" / "end_to_end"
    place.mkdir(parents=True)
    shutil.copy(FOLDER / "conftest.py", folder / "tests")
    (place / "test_flaky.py").write_text(FLAKY, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    flaky\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "tests"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own test


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "status", "verdict"), [((), 0, "reported only"), (("--fail-on-flaky",), 7, "counts as a failure")]
)
def test_a_second_try_is_named_with_its_reason(
    tmp_path: Path, options: tuple[str, ...], status: int, verdict: str
) -> None:
    ended = run_flaky_test(tmp_path, *options)
    assert ended.returncode == status, ended.stdout
    assert verdict in ended.stdout
    assert "test_it_passes_at_the_second_try (call): AssertionError: the port is in use" in ended.stdout
    assert "1 passed, 1 rerun" in ended.stdout.splitlines()[-1]
