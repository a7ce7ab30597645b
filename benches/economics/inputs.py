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
            found = list(requests_in(path, csv.DictReader(file)))
    except OSError as problem:
        raise MissingInputError(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError:
        raise MissingInputError(f"{path}: is no text in UTF-8") from None
    if not any(each.input_tokens or each.output_tokens for each in found):
        raise MissingInputError(f"{path}: has no request with tokens")
    return sorted(found)


def requests_in(path: Path, rows: csv.DictReader[str]) -> Iterator[Request]:
    """Yield the requests of a file by the columns that it has; a wrong row is named by its line."""
    names = set(rows.fieldnames or ())
    if not (names.issuperset(TRACE) or names.issuperset(USAGE)):
        raise MissingInputError(f"{path}: expected the columns {', '.join(TRACE)}, or {', '.join(USAGE)}")
    for row in rows:
        try:
            yield from [trace_request(row)] if names.issuperset(TRACE) else hour_requests(row)
        except ValueError as problem:
            raise MissingInputError(f"{path}, line {rows.line_num}: {problem}") from None


def trace_request(row: Mapping[str, str]) -> Request:
    at = seconds_in(row, "TIMESTAMP")
    return Request(at, whole_number_in(row, "ContextTokens"), whole_number_in(row, "GeneratedTokens"))


def hour_requests(row: Mapping[str, str]) -> Iterator[Request]:
    """Yield the attempts of an hour, each with the mean of their tokens."""
    number, began = whole_number_in(row, "attempts"), seconds_in(row, "hour")
    input_tokens, output_tokens = whole_number_in(row, "input_tokens"), whole_number_in(row, "output_tokens")
    for place in range(number):
        yield Request(began + HOUR_S * place / number, input_tokens // number, output_tokens // number)


def seconds_in(row: Mapping[str, str | None], name: str) -> float:
    """Return a time in seconds since the epoch; one without a zone is in UTC. Raises ValueError."""
    try:
        found = datetime.fromisoformat(row[name] or "")
    except ValueError:
        raise ValueError(f"{name}: expected a time such as 2026-11-29T14:00, found {row[name]!r}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def whole_number_in(row: Mapping[str, str | None], name: str) -> int:
    text = row[name] or ""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{name}: expected a whole number, found {row[name]!r}")
    return int(text)


def token_price(prices: Mapping[str, Price], name: str) -> TokenPrice:
    found = prices.get(name)
    if not isinstance(found, TokenPrice):
        raise MissingInputError(f"--api {name}: expected the name of a price per token, {names_of(prices, TokenPrice)}")
    return found


def names_of(prices: Mapping[str, Price], kind: type[Price]) -> str:
    names = [name for name, price in prices.items() if isinstance(price, kind)]
    return f"one of {', '.join(names)}" if names else "but the file of prices has none"


def read_machine(text: str, prices: Mapping[str, Price]) -> Machine:
    """Read `price=NAME,start_s=…,prefill=…,decode=…,context=…,parallel=…`; every part is needed."""
    given = parts_of("--gpu", text, [each.name for each in fields(Machine)])
    price = prices.get(given["price"])
    if not isinstance(price, TimePrice):
        raise MissingInputError(
            f"--gpu price={given['price']}: expected the name of a price by time, {names_of(prices, TimePrice)}"
        )
    return Machine(
        price=price,
        start_s=float(positive("--gpu start_s", given["start_s"])),
        prefill=float(positive("--gpu prefill", given["prefill"])),
        decode=float(positive("--gpu decode", given["decode"])),
        context=positive_whole("--gpu context", given["context"]),
        parallel=positive_whole("--gpu parallel", given["parallel"]),
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
        problem = f"missing: {', '.join(missing)}" if missing else f"unknown: {', '.join(unknown)}"
        raise MissingInputError(f"{option} {text}: {problem}; expected {','.join(f'{name}=…' for name in names)}")
    return given


def positive(name: str, text: str) -> Decimal:
    try:
        found = Decimal(text)
    except ArithmeticError:
        found = Decimal(-1)
    if not (found.is_finite() and found > 0):
        raise MissingInputError(f"{name}: expected a number above 0, found {text!r}")
    return found


def positive_whole(name: str, text: str) -> int:
    found = positive(name, text)
    if found % 1:
        raise MissingInputError(f"{name}: expected a whole number above 0, found {text!r}")
    return int(found)
