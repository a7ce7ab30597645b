"""What does the file of the fleet say of the data and the time of callers, and of their turns of `auto`?"""

from collections.abc import Collection

from domain.config.toml_table import TomlTable
from domain.fleet.caller_rules import (
    MOST_TIME_VALUE,
    RESIDENCY,
    TIME_VALUE,
    AutoTiers,
    CallerRules,
    Level,
    TenantRules,
)
from domain.fleet.catalog import MAX_TIER, MIN_TIER

RESIDENCIES = "residencies"


def read_tenant_rules(table: TomlTable, known: Collection[str]) -> TenantRules:
    """Read the table `callers`; `known` are the residencies of the backends of the file."""
    usual = read_rules(table, CallerRules(), known)
    tenants = {name: read_rules(each, usual, known, close=True) for name, each in table.tables("tenants")}
    table.close()
    return TenantRules(usual=usual, tenants=tenants)


def read_rules(table: TomlTable, usual: CallerRules, known: Collection[str], *, close: bool = False) -> CallerRules:
    """Read rules; what a tenant's table leaves out is as usual."""
    residencies = usual.residencies
    if RESIDENCIES in table.values:
        residencies = frozenset(table.texts(RESIDENCIES))
        if residencies.difference(known):
            table.report(RESIDENCIES, f"some of the {RESIDENCY} of backends: {', '.join(sorted(known)) or 'none'}")
    table.known.add(RESIDENCIES)
    value = table.amount(TIME_VALUE, usual.time_value)
    if value > MOST_TIME_VALUE:
        table.report(TIME_VALUE, f"dollars for a second, at most {MOST_TIME_VALUE}")
    if close:
        table.close()
    return CallerRules(residencies=residencies, time_value=value)


def read_auto_tiers(table: TomlTable) -> AutoTiers | None:
    """Read the table `auto`; without it, `auto` may use any model."""
    if not table.values:
        return None
    found = AutoTiers(*(table.within(level, MIN_TIER, MAX_TIER) for level in Level))
    if list(found) != sorted(found):
        table.report(Level.HARD, "tiers that rise, or stay, from easy to medium and hard")
    table.close()
    return found
