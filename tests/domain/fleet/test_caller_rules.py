"""Where may a turn's data be sent, by its tenant's rules and its own metadata, and what is its time worth?"""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from domain.errors import Invalid
from domain.fleet.caller_rules import DEFAULT_TIME_VALUE, NOWHERE, CallerRules, TenantRules, check_metadata

EU = CallerRules(residencies=frozenset({"eu"}))
RULES = TenantRules(
    tenants={"european": EU, "hurried": CallerRules(time_value=Decimal("0.01"))},
)
KNOWN = ("eu", "us", "laptop")


@pytest.mark.parametrize(
    ("tenant", "metadata", "allowed"),
    [
        ("other", {}, set[str]()),
        ("other", {"residency": "us"}, {"us"}),
        ("other", {"residency": " us , eu,"}, {"us", "eu"}),
        ("european", {}, {"eu"}),
        ("european", {"residency": "eu,us"}, {"eu"}),
        ("european", {"residency": "us"}, {NOWHERE}),
    ],
)
def test_a_turn_can_only_narrow_where_its_tenants_data_may_go(
    tenant: str, metadata: Mapping[str, str], allowed: set[str]
) -> None:
    assert RULES.of_turn(tenant, metadata).residencies == allowed


@pytest.mark.parametrize(
    ("tenant", "metadata", "value"),
    [
        ("other", {}, DEFAULT_TIME_VALUE),
        ("hurried", {}, Decimal("0.01")),
        ("hurried", {"time_value": "0"}, Decimal(0)),
        ("other", {"time_value": "0.5"}, Decimal("0.5")),
        ("hurried", {"time_value": "0.5", "residency": "us"}, Decimal("0.5")),
    ],
)
def test_the_value_of_time_is_the_turns_else_its_tenants(
    tenant: str, metadata: Mapping[str, str], value: Decimal
) -> None:
    assert RULES.of_turn(tenant, metadata).time_value == value


@pytest.mark.parametrize(
    ("metadata", "field", "part"),
    [
        ({"residency": "mars"}, "metadata.residency", "expected some of eu, laptop, us, but got 'mars'"),
        ({"residency": "eu,mars"}, "metadata.residency", "'mars'"),
        ({"residency": " , "}, "metadata.residency", "but got nothing"),
        ({"residency": "us"}, "metadata.residency", "may only be sent to eu"),
        ({"time_value": "soon"}, "metadata.time_value", "from 0 to 1"),
        ({"time_value": "-0.1"}, "metadata.time_value", "from 0 to 1"),
        ({"time_value": "1.1"}, "metadata.time_value", "from 0 to 1"),
        ({"time_value": "nan"}, "metadata.time_value", "from 0 to 1"),
        ({"time_value": ""}, "metadata.time_value", "from 0 to 1"),
        ({"time_value": "0.00000000000000001"}, "metadata.time_value", "from 0 to 1"),
    ],
)
def test_wrong_metadata_is_an_error_by_its_field(metadata: Mapping[str, str], field: str, part: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_metadata(metadata, EU, KNOWN)
    assert caught.value.field == field
    assert part in str(caught.value)


def test_good_metadata_pass() -> None:
    check_metadata({"residency": "eu,us", "time_value": "0.001"}, EU, KNOWN)
    check_metadata({}, EU, ())


@pytest.mark.parametrize("text", ["1e-400", "1e-999999999", "0e999999999", "0e-999999999", "-0e999999999"])
def test_a_value_of_time_with_many_zeros_fills_no_record(text: str) -> None:
    check_metadata({"time_value": text}, EU, KNOWN)
    value = RULES.of_turn("other", {"time_value": text}).time_value
    assert value == 0
    assert len(f"{value * Decimal('12.345'):f}") < 20
