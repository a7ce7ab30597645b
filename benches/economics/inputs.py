"""Which requests, prices and machines does a comparison need? Nothing is assumed: what is missing is named."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from domain.money.prices import Price, TimePrice, TokenPrice

TRACE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
"""The columns of the Azure Public Dataset's traces of LLM inference."""

USAGE = ("hour", "attempts", "input_tokens", "output_tokens")
"""The columns of `GET /v1/usage?group_by=hour&format=csv` that are read."""

HOUR_S = 3600.0


class MissingInputError(Exception):
    """An input is absent or wrong; the message names it."""


class Request(NamedTuple):
    """A request at a time in seconds, with its tokens."""

    at: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A GPU that is rented by time: its price, the seconds of a start, its speeds in tokens a second, its context.

    It serves `parallel` requests at once, each at these speeds.
    """

    price: TimePrice
    start_s: float
    prefill: float
    decode: float
    context: int
    parallel: int

    @property
    def second_usd(self) -> Decimal:
        return self.price.amount / self.price.per_s

    def busy_s(self, request: Request) -> float:
        return request.input_tokens / self.prefill + request.output_tokens / self.decode

    def fits(self, request: Request) -> bool:
        return request.input_tokens + request.output_tokens <= self.context


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedMachine:
    """Hardware that was bought: dollars, its power in kW, dollars for a kWh, and dollars a month for its place."""

    purchase_usd: Decimal
    power_kw: Decimal
    kwh_usd: Decimal
    month_usd: Decimal

    def running_usd(self, hours: Decimal) -> Decimal:
        return hours * self.power_kw * self.kwh_usd


def read_requests(path: Path) -> Sequence[Request]:
    """Read a trace, or usage by hour whose attempts are spread evenly over their hour. Raises MissingInputError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            names = set(rows.fieldnames or ())
            if names.issuperset(TRACE):
                found = [trace_request(row) for row in rows]
            elif names.issuperset(USAGE):
                found = [each for row in rows for each in hour_requests(row)]
            else:
                raise MissingInputError(f"{path}: expected the columns {', '.join(TRACE)}, or {', '.join(USAGE)}")
    except (OSError, ValueError) as problem:
        raise MissingInputError(f"{path}: {problem}") from None
    if not found:
        raise MissingInputError(f"{path}: has no request")
    return sorted(found)


def trace_request(row: Mapping[str, str]) -> Request:
    at = datetime.fromisoformat(row["TIMESTAMP"]).replace(tzinfo=UTC).timestamp()
    return Request(at, int(row["ContextTokens"]), int(row["GeneratedTokens"]))


def hour_requests(row: Mapping[str, str]) -> Iterator[Request]:
    """Yield the attempts of an hour, each with the mean of their tokens."""
    number = int(row["attempts"])
    began = datetime.fromisoformat(row["hour"]).replace(tzinfo=UTC).timestamp()
    for place in range(number):
        at = began + HOUR_S * place / number
        yield Request(at, int(row["input_tokens"]) // number, int(row["output_tokens"]) // number)


def token_price(prices: Mapping[str, Price], name: str) -> TokenPrice:
    found = prices.get(name)
    if not isinstance(found, TokenPrice):
        raise MissingInputError(f"--api {name}: expected the name of a price per token")
    return found


def read_machine(text: str, prices: Mapping[str, Price]) -> Machine:
    """Read `price=NAME,start_s=…,prefill=…,decode=…,context=…,parallel=…`; every part is needed."""
    given = parts_of("--gpu", text, [each.name for each in fields(Machine)])
    price = prices.get(given["price"])
    if not isinstance(price, TimePrice):
        raise MissingInputError(f"--gpu {text}: {given['price']} is no price by time")
    return Machine(
        price=price,
        start_s=float(positive("--gpu start_s", given["start_s"])),
        prefill=float(positive("--gpu prefill", given["prefill"])),
        decode=float(positive("--gpu decode", given["decode"])),
        context=int(positive("--gpu context", given["context"])),
        parallel=int(positive("--gpu parallel", given["parallel"])),
    )


def read_owned(text: str) -> OwnedMachine:
    names = [each.name for each in fields(OwnedMachine)]
    given = parts_of("--owned", text, names)
    return OwnedMachine(**{name: positive(f"--owned {name}", given[name]) for name in names})


def parts_of(option: str, text: str, names: Sequence[str]) -> Mapping[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    given = {name: value for name, _, value in pairs}
    missing = [name for name in names if not given.get(name)]
    unknown = sorted(set(given) - set(names))
    if missing or unknown:
        problem = f"{', '.join(missing)} is missing" if missing else f"{', '.join(unknown)} is unknown"
        raise MissingInputError(f"{option} {text}: {problem}")
    return given


def positive(name: str, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal(-1)
    if not (found.is_finite() and found > 0):
        raise MissingInputError(f"{name}: expected a number above 0, got {text!r}")
    return found
