"""What does the file of prices say?"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from domain.config.toml_table import TomlTable, document
from domain.errors import ConfigurationError
from domain.money.cheap_hours import CheapHours
from domain.money.overheads import FunctionsPrice, OverheadPrices, StorePrice
from domain.money.prices import SECONDS_IN_HOUR, Price, PriceComponent, PriceKind, PriceSource, TimePrice, TokenPrice

UNIT_SECONDS: Final = {PriceKind.PER_SECOND: 1, PriceKind.PER_HOUR: SECONDS_IN_HOUR, PriceKind.OWNED: SECONDS_IN_HOUR}


def prices_from_toml(text: str) -> Mapping[str, Price]:
    """Return the prices by name. Raises ConfigurationError that names every mistake in the file."""
    return read_file(text)[0]


def overheads_from_toml(text: str) -> OverheadPrices:
    """Return what the store and the functions cost. Raises as `prices_from_toml`."""
    return read_file(text)[1]


def cheap_hours_from_toml(text: str) -> CheapHours:
    """Return the hours in which batches begin at once. Raises as `prices_from_toml`."""
    return read_file(text)[2]


def read_file(text: str) -> tuple[Mapping[str, Price], OverheadPrices, CheapHours]:
    top = document(text, "prices")
    prices = {name: read_price(name, table) for name, table in top.tables("prices")}
    overheads = read_overheads(top.table("overheads"))
    hours = read_hours(top.table("hours"))
    top.close()
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return prices, overheads, hours


def read_hours(table: TomlTable) -> CheapHours:
    cheap = table.hours("cheap")
    table.close()
    return CheapHours(frozenset(cheap))


def read_overheads(table: TomlTable) -> OverheadPrices:
    def store(key: str) -> StorePrice:
        part = table.table(key, required=True)
        price = StorePrice(origin=read_origin(part), million_units=part.amount("million_units"))
        part.close()
        return price

    def functions(key: str) -> FunctionsPrice:
        part = table.table(key, required=True)
        price = FunctionsPrice(
            origin=read_origin(part),
            gb_second=part.amount("gb_second"),
            million_executions=part.amount("million_executions"),
            memory_gb=part.amount("memory_gb"),
        )
        part.close()
        return price

    found = OverheadPrices(store=table.optional("store", store), functions=table.optional("functions", functions))
    table.close()
    return found


def read_price(name: str, table: TomlTable) -> Price:
    kind = table.choice("kind", PriceKind)
    price = token_price(name, table) if kind is PriceKind.PER_TOKEN else time_price(name, kind, table)
    table.close()
    return price


def token_price(name: str, table: TomlTable) -> TokenPrice:
    whole = table.amount("input")
    cached = table.amount("cached_input", default=whole)
    if cached > whole:
        table.report("cached_input", "no more than input")
    return TokenPrice(
        name=name,
        origin=read_origin(table),
        input=whole,
        cached_input=cached,
        output=table.amount("output"),
        cache_write=table.optional("cache_write", table.amount),
        request=table.amount("request", default=Decimal(0)),
    )


def time_price(name: str, kind: PriceKind, table: TomlTable) -> TimePrice:
    components = tuple(read_component(each, part) for each, part in table.tables("components"))
    if not components:
        table.report("components", "a table of at least one component")
    return TimePrice(
        name=name,
        origin=read_origin(table),
        kind=kind,
        components=components,
        per_s=UNIT_SECONDS[kind],
        granularity_ms=table.whole("granularity_ms"),
        minimum_s=table.number("minimum_s", default=0.0),
        idle_s=table.number(table.key_of("idle_s", "tail_s"), default=0.0),
        bills_cold=table.flag("bills_cold", default=True),
        energy_per_hour=table.amount("energy_per_hour", default=Decimal(0)),
        request=table.amount("request", default=Decimal(0)),
    )


def read_component(name: str, table: TomlTable) -> PriceComponent:
    component = PriceComponent(
        name=name, amount=table.amount("amount"), count=table.amount("count", default=Decimal(1))
    )
    table.close()
    return component


def read_origin(table: TomlTable) -> PriceSource:
    currency = table.text("currency", default="USD")
    if currency != "USD":
        table.report("currency", "USD")
    return PriceSource(
        source=table.text("source"), date=table.day("date"), region=table.text("region"), currency=currency
    )
