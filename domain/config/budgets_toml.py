"""What does the file of budgets say of single tenants?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal

from domain.config.toml_table import TomlTable, document
from domain.errors import ConfigurationError
from domain.money.budgets import OF_TENANTS, Budgets, BudgetScope


def budgets_from_toml(text: str, usual: Budgets) -> Budgets:
    """Return the usual budgets with those of single tenants; what a tenant's table leaves out is as usual.

    Raises ConfigurationError that names every mistake in the file.
    """
    top = document(text, "budgets")
    tenants = {name: read_tenant(table, usual) for name, table in top.tables("tenants")}
    top.close()
    if top.problems:
        raise ConfigurationError(tuple(top.problems))
    return replace(usual, tenants=tenants)


def read_tenant(table: TomlTable, usual: Budgets) -> Budgets:
    limits: Mapping[BudgetScope, Decimal | None] = {
        scope: table.optional(scope.name.lower(), table.amount) for scope in OF_TENANTS
    }
    forecast = table.optional("forecast_day", table.amount)
    known = {scope: limit for scope, limit in limits.items() if limit is not None}
    found = Budgets(
        limits={**usual.limits, **known},
        warn_share=table.share("warn_share", default=usual.warn_share),
        forecast=usual.forecast if forecast is None else forecast,
    )
    table.close()
    return found
