"""Does a roll-up have what its rows have in each hour, and nothing of who used it?"""

from collections import Counter
from typing import Any

import pytest

from domain.money.usage import ALL_COUNTS, DIMENSIONS, UsageRow
from domain.money.usage_rollups import CODES, FIELD_LENGTH, PREFIX, roll_up_change, rows_of

DAY = "2027-01-15"


def row(hour: int, *, owner: str = "anne", model: str = "m", backend: str = "b") -> UsageRow:
    place = {"day": DAY, "hour": f"{DAY}T{hour:02}", "model": model, "backend": backend, "owner": owner}
    return UsageRow(dimensions=dict.fromkeys(DIMENSIONS, "") | place)


def summed(*changes: tuple[UsageRow, dict[str, int]]) -> dict[str, Any]:
    """Return the document that the changes of rows make together."""
    found = [roll_up_change(each, counts) for each, counts in changes]
    assert len({each.id for each in found}) == 1
    amounts: Counter[str] = Counter()
    for each in found:
        amounts.update(each.amounts)
    return {**found[0].empty, **amounts}


def test_every_count_has_a_code_of_its_own() -> None:
    assert set(CODES) == set(ALL_COUNTS)
    assert len(set(CODES.values())) == len(CODES)


def test_a_code_and_an_hour_are_the_length_of_a_field() -> None:
    change = roll_up_change(row(7), {"input": 5, "cost": 9})
    assert change.amounts == {"i07": 5, "c07": 9}
    assert {len(field) for field in change.amounts} == {FIELD_LENGTH}


def test_the_hours_of_a_day_and_all_owners_are_in_one_document_and_models_and_backends_are_not() -> None:
    first = roll_up_change(row(0), {})
    assert first.id.startswith(f"{PREFIX}{DAY}_")
    assert roll_up_change(row(23, owner="bea"), {}).id == first.id
    others = (row(0, model="n"), row(0, backend="c"), row(0, model="m\nb", backend=""))
    assert len({first.id, *(roll_up_change(each, {}).id for each in others)}) == 4


def test_each_hour_is_a_row_with_the_sums_of_its_owners() -> None:
    rows = rows_of(
        summed((row(7), {"input": 5}), (row(7, owner="bea"), {"input": 2, "cost": 9}), (row(8), {"output": 1}))
    )
    found = {each.dimensions["hour"]: {name: n for name, n in each.counts.items() if n} for each in rows}
    assert found == {f"{DAY}T07": {"input": 7, "cost": 9}, f"{DAY}T08": {"output": 1}}
    assert {name for each in rows for name in each.dimensions} == {"day", "hour", "model", "backend"}


@pytest.mark.parametrize("field", ["z07", "i7", "i007", "ixx", "day", "", "at"])
def test_a_field_that_is_no_count_of_an_hour_is_left_out(field: str) -> None:
    assert rows_of({**roll_up_change(row(7), {}).empty, field: 3} | {"day": DAY}) == []
