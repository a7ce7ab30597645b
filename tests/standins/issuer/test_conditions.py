"""Which changes of the issuer's conditions are taken, and which are named as wrong?"""

from typing import Any

import pytest

from standins.issuer.conditions import HOPS, Conditions, changed
from standins.issuer.federation import MEMBER


def test_only_what_is_named_changes() -> None:
    found = changed(Conditions(ahead=5.0), {"provider": False, "entra_lifetime": "60"})
    assert found == Conditions(ahead=5.0, provider=False, entra_lifetime=60)
    assert changed(found, {}) == found


def test_conditions_are_read_as_they_are_written() -> None:
    faults: dict[str, str] = dict(zip(HOPS, ("503", "hang", "garbage"), strict=False))
    one = Conditions(faults=faults, managed_identity=False, members=(MEMBER, "other"), ahead=-1.5, id_lifetime=1)
    assert changed(Conditions(), one.to_json()) == one


def test_faults_and_members_are_replaced_as_a_whole() -> None:
    one = Conditions(faults={"sts": "503"})
    assert changed(one, {"faults": {"keys": "hang"}}).faults == {"keys": "hang"}
    assert changed(one, {"faults": {}, "members": []}) == Conditions(members=())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"faults": {"post": "503"}}, "^faults: unknown hop post; choose one of discovery, "),
        ({"faults": {"sts": "200"}}, "^faults: 200 must be an HTTP error status, hang or garbage$"),
        ({"faults": {"sts": 600}}, "^faults: 600 must be"),
        ({"faults": {"sts": "soon"}}, "^faults: soon must be"),
        ({"provider": "yes"}, "^provider: yes must be true or false$"),
        ({"managed_identity": 1}, "^managed_identity: 1 must be true or false$"),
        ({"ahead": "late"}, "^ahead: could not convert"),
        ({"id_lifetime": None}, "^id_lifetime: "),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        changed(Conditions(), change)
