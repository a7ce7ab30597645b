"""Does the demo check what it shows, and does it succeed?"""

import os
import subprocess
import sys
from pathlib import Path

from tests.standins.programs import ROOT


def test_the_demo_succeeds_with_the_scripted_model(tmp_path: Path) -> None:
    environment = {**os.environ, "MODEL": "scripted", "COLD": "2", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "standins.demo"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    printed = done.stdout
    assert done.returncode == 0, printed + done.stderr
    assert [text for text in ("cold at", "starting at", "ready at") if text not in printed] == []
    assert "no GPU start, no credential call" in printed
    assert '"36" from D-11' in printed
    assert "orders     A-1001  a telescope" in printed
    assert "provider session 1" in printed
    assert "total" in printed
    assert "of $5 used (owner day)" in printed
    assert "kill -9" in printed
    assert "without a gap" in printed
    assert "tool     find_order" in printed
    assert "1 refund from 2 requests" in printed
    assert "The demo succeeded" in printed
    assert list(tmp_path.iterdir()) == []
