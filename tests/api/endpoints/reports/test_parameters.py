"""Which days and flags do the parameters of a report name, and who may read it?"""

from collections.abc import Callable, Mapping
from datetime import date

import pytest

from api.endpoints.reports.parameters import read_day, read_flag, require_role, start_of_day
from domain.errors import Forbidden, Invalid
from domain.identity.owners import Owner
from domain.identity.roles import AppRole


def test_a_day_begins_at_midnight_in_utc() -> None:
    assert read_day({"start": "2026-11-22"}, "start") == date(2026, 11, 22)
    assert start_of_day({"start": "2026-11-22"}, "start") == 1_795_305_600.0
    assert start_of_day({"start": "2026-11-22"}, "start", plus_days=1) == 1_795_392_000.0


def test_an_absent_day_is_none() -> None:
    assert read_day({}, "start") is None
    assert start_of_day({"end": "2026-11-22"}, "start", plus_days=1) is None


@pytest.mark.parametrize("read", [read_day, start_of_day])
@pytest.mark.parametrize("text", ["", "today", "2026-13-01", "2026-02-29", "22.11.2026", "1795305600"])
def test_what_is_no_day_is_named(read: Callable[[Mapping[str, str], str], object], text: str) -> None:
    with pytest.raises(Invalid) as caught:
        read({"end": text}, "end")
    assert (caught.value.field, caught.value.code) == ("end", "invalid_value")


def test_the_day_after_the_last_one_is_too_late() -> None:
    with pytest.raises(Invalid, match="too late") as caught:
        start_of_day({"end": "9999-12-31"}, "end", plus_days=1)
    assert caught.value.field == "end"


def test_a_flag_is_true_or_false() -> None:
    assert [read_flag(each, "all") for each in ({}, {"all": "false"}, {"all": "true"})] == [False, False, True]
    for text in ("", "True", "1"):
        with pytest.raises(Invalid) as caught:
            read_flag({"all": text}, "all")
        assert caught.value.field == "all"


@pytest.mark.parametrize("role", AppRole)
def test_a_role_is_needed_by_its_name(role: AppRole) -> None:
    require_role(Owner(tenant="t", subject="user:s", roles=(role.value,)), role)
    with pytest.raises(Forbidden, match=role.value):
        require_role(Owner(tenant="t", subject="user:s", roles=("Other",)), role)
