"""Which application is examined?"""

from pathlib import Path

import pytest

from tests.ganglion.doctor.harness import Case, healthy_case


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return healthy_case(tmp_path)
