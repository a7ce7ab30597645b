"""Is the file of prices read as its schema says, and is every mistake in it named?"""

from decimal import Decimal

import pytest

from domain.config.prices_toml import prices_from_toml
from domain.errors import ConfigurationError
from domain.money.prices import PriceKind, TimePrice, TokenPrice
from tests.checks import every
from tests.domain.fleets import shipped_text

ORIGIN = 'source = "a list"\ndate = 2026-11-22\nregion = "eu"\n'
TOKENS = f'[prices.api]\nkind = "per_token"\ninput = "0.4"\noutput = "1.6"\n{ORIGIN}'
OWNED = f'[prices.own]\nkind = "owned"\ngranularity_ms = 1000\ncomponents.machine = {{ amount = "0.9" }}\n{ORIGIN}'


def test_cached_input_costs_as_much_as_fresh_where_the_file_names_no_price_for_it() -> None:
    price = prices_from_toml(TOKENS)["api"]
    assert isinstance(price, TokenPrice)
    assert price.kind is PriceKind.PER_TOKEN
    assert (price.input, price.cached_input, price.output) == (Decimal("0.4"), Decimal("0.4"), Decimal("1.6"))
    assert (price.origin.source, price.origin.date, price.origin.region) == ("a list", "2026-11-22", "eu")


def test_writes_to_a_cache_and_requests_have_prices_where_the_file_names_them() -> None:
    (plain,) = prices_from_toml(TOKENS).values()
    (named,) = prices_from_toml(TOKENS + 'cache_write = "0.5"\nrequest = "0.0002"\n').values()
    assert isinstance(plain, TokenPrice)
    assert isinstance(named, TokenPrice)
    assert (plain.cache_write, plain.request) == (None, Decimal(0))
    assert (named.cache_write, named.request) == (Decimal("0.5"), Decimal("0.0002"))


def test_the_energy_of_a_machine_is_nothing_unless_it_is_named() -> None:
    named = OWNED.replace("granularity_ms", 'energy_per_hour = "0.12"\ngranularity_ms')
    for text, energy in ((OWNED, Decimal(0)), (named, Decimal("0.12"))):
        (price,) = prices_from_toml(text).values()
        assert isinstance(price, TimePrice)
        assert price.energy_per_hour == energy


def test_an_owned_machine_has_a_price_an_hour() -> None:
    price = prices_from_toml(OWNED)["own"]
    assert isinstance(price, TimePrice)
    assert (price.kind, price.per_s, price.amount) == (PriceKind.OWNED, 3600, Decimal("0.9"))
    assert price.bills_cold


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"0.4"', "0.4", 'prices.api.input: expected an amount in quotes, such as "0.25", found 0.4'),
        ('"0.4"', '"-1"', "prices.api.input: expected an amount in quotes, such as \"0.25\", found '-1'"),
        ('"0.4"', '"NaN"', "prices.api.input: expected an amount in quotes, such as \"0.25\", found 'NaN'"),
        ('"0.4"', '"dear"', "prices.api.input: expected an amount in quotes, such as \"0.25\", found 'dear'"),
        (
            '"0.4"',
            '"0.1234567890123"',
            "prices.api.input: expected an amount in quotes, such as \"0.25\", found '0.1234567890123'",
        ),
        (
            'output = "1.6"',
            'output = "1.6"\ncached_input = "0.5"',
            "prices.api.cached_input: expected no more than input, found '0.5'",
        ),
        (
            "date = 2026-11-22",
            'date = "lately"',
            "prices.api.date: expected a date, such as 2026-11-22, or a month, such as \"2026-11\", found 'lately'",
        ),
        ('source = "a list"\n', "", "prices.api.source: expected text, found nothing"),
        (
            'region = "eu"',
            'region = "eu"\ncurrency = "EUR"',
            "prices.api.currency: expected USD, found 'EUR'",
        ),
        (
            '"per_token"',
            '"per_word"',
            "prices.api.kind: expected one of per_token, per_second, per_hour, owned, found 'per_word'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_field_and_what_was_expected(old: str, new: str, problem: str) -> None:
    assert old in TOKENS
    with pytest.raises(ConfigurationError) as caught:
        prices_from_toml(TOKENS.replace(old, new, 1))
    assert problem in caught.value.problems


def test_a_machine_needs_components() -> None:
    with pytest.raises(ConfigurationError) as caught:
        prices_from_toml(OWNED.replace('components.machine = { amount = "0.9" }\n', ""))
    assert caught.value.problems == (
        "prices.own.components: expected a table of at least one component, found nothing",
    )


def test_the_shipped_prices_come_to_the_known_rates_of_an_hour() -> None:
    prices = prices_from_toml(shipped_text("prices.toml"))
    small, large = prices["cloud-run-l4"], prices["cloud-run-rtx-pro-6000"]
    assert isinstance(small, TimePrice)
    assert isinstance(large, TimePrice)
    assert round(small.amount * 3600, 3) == Decimal("1.421")
    assert round(large.amount * 3600, 3) == Decimal("3.187")
    assert every(price.origin.source and price.origin.date for price in prices.values())


@pytest.mark.parametrize("name", ["idle_s", "tail_s"])
def test_the_billed_idle_time_is_read_under_its_name_and_its_former_name(name: str) -> None:
    price = prices_from_toml(OWNED.replace("granularity_ms", f"{name} = 600\ngranularity_ms"))["own"]
    assert isinstance(price, TimePrice)
    assert price.idle_s == 600


def test_a_price_with_both_names_of_the_idle_time_is_a_problem() -> None:
    with pytest.raises(ConfigurationError) as caught:
        prices_from_toml(OWNED.replace("granularity_ms", "idle_s = 600\ntail_s = 600\ngranularity_ms"))
    (problem,) = caught.value.problems
    assert problem == "prices.own.idle_s: expected either idle_s or its former name tail_s, found both; remove tail_s"
