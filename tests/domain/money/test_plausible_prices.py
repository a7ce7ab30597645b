"""Is a price with a wrong unit named, and a real one left alone?"""

from pathlib import Path

import pytest

from domain.config.prices_toml import prices_from_toml
from domain.money.plausible_prices import implausible

ORIGIN = 'source = "a list"\ndate = "2026-11"\nregion = "r"\n'


def problems(text: str) -> list[str]:
    return [problem for price in prices_from_toml(text).values() for problem in implausible(price)]


def test_the_shipped_prices_are_plausible() -> None:
    assert problems(Path("prices.toml").read_text(encoding="utf-8")) == []


def test_a_price_of_a_thousand_tokens_is_named() -> None:
    text = f'[prices.mini]\nkind = "per_token"\ninput = "0.0004"\ncached_input = "0.0001"\noutput = "0.0016"\n{ORIGIN}'
    assert problems(text) == [
        "prices.mini.input: $0.0004 for a million tokens is implausible, expected $0.001 to $6000",
        "prices.mini.cached_input: $0.0001 for a million tokens is implausible, expected $0.001 to $6000",
    ]


def test_a_price_of_an_hour_as_one_of_a_second_is_named() -> None:
    text = f'[prices.gpu]\nkind = "per_second"\ngranularity_ms = 100\nidle_s = 600\nbills_cold = true\n{ORIGIN}'
    (problem,) = problems(f'{text}components.machine = {{ amount = "0.80" }}\n')
    assert problem == "prices.gpu.components: $2880 for an hour of the machine is implausible, expected $0.03 to $1200"


@pytest.mark.parametrize("amount", ["0", "0.01", "600"])
def test_free_cheap_and_dear_models_are_plausible(amount: str) -> None:
    text = f'[prices.model]\nkind = "per_token"\ninput = "{amount}"\noutput = "{amount}"\n{ORIGIN}'
    assert problems(text) == []
