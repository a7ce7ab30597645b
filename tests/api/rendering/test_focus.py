"""Does the FOCUS file have the columns that the specification publishes, with the values that it allows?"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.api.endpoints.test_usage import answering, create_turn, usage
from tests.api.harness import Api, api
from tests.fakes.worlds import OWNER

COLUMNS: Sequence[Mapping[str, Any]] = json.loads(
    (Path(__file__).parent / "focus_1_2.json").read_text(encoding="utf-8")
)["columns"]
"""The published columns: id, level, whether null is allowed, type, and the allowed values."""

UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def focus(one: Api, caller: str = "mine") -> tuple[Sequence[str], Sequence[Mapping[str, str]]]:
    headers = {"authorization": f"Bearer {caller}"}
    answer = await one.http.get("/v1/usage", params={"format": "focus"}, headers=headers)
    assert answer.headers["content-type"].startswith("text/csv")
    read = csv.DictReader(io.StringIO(answer.text))
    return list(read.fieldnames or ()), list(read)


def check(column: Mapping[str, Any], value: str) -> None:
    """Check a value against the constraints of its column."""
    if not value:
        assert column["null"], column["id"]
        return
    match column["type"]:
        case "Decimal":
            assert Decimal(value) >= 0
        case "Date/Time":
            assert UTC.fullmatch(value), column["id"]
        case "JSON":
            assert isinstance(json.loads(value), dict)
        case _:
            assert value in column.get("allowed", [value]), column["id"]


async def test_every_mandatory_column_is_there_and_none_is_invented() -> None:
    known = {each["id"]: each for each in COLUMNS}
    names, lines = await focus(api(answering(1)))
    assert (set(names) - set(known), lines) == (set(), [])
    assert {each["id"] for each in COLUMNS if each["level"] == "Mandatory"} <= set(names)


async def test_the_values_are_allowed_and_add_up_to_the_usage() -> None:
    one = api(answering(3))
    await create_turn(one)
    await create_turn(one, "strange")
    _, mine = await focus(one)
    _, all_of_tenant = await focus(one, "operator")
    known = {each["id"]: each for each in COLUMNS}
    for line in all_of_tenant:
        for name, value in line.items():
            check(known[name], value)
    for caller, lines in (("mine", mine), ("operator", all_of_tenant)):
        (day,) = (await usage(one, caller))["data"]
        assert sum(Decimal(line["BilledCost"]) for line in lines) == Decimal(day["cost_usd"]) > 0
    assert {line["SubAccountId"] for line in mine} == {OWNER.subject}
    assert len({line["SubAccountId"] for line in all_of_tenant}) == 2
    assert {line["BillingAccountId"] for line in all_of_tenant} == {OWNER.tenant}
