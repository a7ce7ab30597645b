"""Is a clock that runs late named, and nothing else?"""

from email.utils import formatdate

import pytest

from ganglion.doctor.outside import Answer
from tests.ganglion.doctor.faults import Break, answer, check_that_names_alone
from tests.ganglion.doctor.harness import NOW, Case

LATE = {"date": formatdate(NOW + 300, usegmt=True)}

FAULTS: dict[str, Break] = {
    "identity.clock": answer("https://login.microsoftonline.com", Answer(status=200, headers=LATE)),
    "store.clock": answer("https://account.documents.azure.com", Answer(status=401, headers=LATE)),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_named_by_its_check_alone(case: Case, name: str) -> None:
    assert await check_that_names_alone(case, FAULTS[name]) == name
