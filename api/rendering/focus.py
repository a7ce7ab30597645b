"""How is usage written in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification?

https://focus.finops.org/focus-specification/v1-2/ describes each column. One row is a day, an owner, a backend, a model
and a cause.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from domain.money.ledger_records import NANOS
from domain.money.usage import ATTEMPTS, ESTIMATED, FUNCTIONS, SESSION_CAUSES, STORE, UsageRow, grouped

DIMENSIONS: Final = ("day", "owner", "backend", "model")
PROVIDER: Final = "Ganglion"
SERVICES: Final[Mapping[str, tuple[str, str]]] = {
    STORE: ("Databases", "Durable state"),
    FUNCTIONS: ("Compute", "Orchestration"),
}
"""The category and the service of the overheads; everything else is inference."""

INFERENCE: Final = ("AI and Machine Learning", "Inference")


def focus_rows(tenant: str, rows: Iterable[UsageRow]) -> Iterator[Mapping[str, str]]:
    """Yield one charge for each cause that cost something; amounts are dollars, times are UTC, "" is null."""
    for row in grouped(rows, DIMENSIONS):
        for cause, nanos in row.causes.items():
            if nanos:
                yield charge(tenant, row, cause, f"{Decimal(nanos) / NANOS:.9f}")


def focus_columns() -> Sequence[str]:
    """Return the names of the columns, in their order."""
    nothing = UsageRow(dimensions={**dict.fromkeys(DIMENSIONS, ""), "day": "1970-01-01"}, counts={ATTEMPTS: 0})
    return tuple(charge("", nothing, "", "0"))


def charge(tenant: str, row: UsageRow, cause: str, cost: str) -> Mapping[str, str]:
    day = date.fromisoformat(row.dimensions["day"])
    category, service = SERVICES.get(cause, INFERENCE)
    backend, model = row.dimensions["backend"], row.dimensions["model"]
    return {
        "BilledCost": cost,
        "BillingAccountId": tenant,
        "BillingAccountName": "",
        "BillingCurrency": "USD",
        "BillingPeriodEnd": midnight(next_month(day)),
        "BillingPeriodStart": midnight(day.replace(day=1)),
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": f"{cause.replace('_', ' ')} of {backend or 'the application'}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": midnight(day + timedelta(days=1)),
        "ChargePeriodStart": midnight(day),
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": PROVIDER,
        "ListCost": cost,
        "PricingQuantity": str(row.counts[ATTEMPTS]),
        "PricingUnit": "Requests",
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "ResourceId": backend,
        "ResourceName": backend,
        "ResourceType": "Backend" if backend else "",
        "ServiceCategory": category,
        "ServiceName": service,
        "SubAccountId": row.dimensions["owner"],
        "SubAccountName": "",
        "SubAccountType": "Owner",
        "Tags": json.dumps({"model": model, "cause": cause, **estimate_tag(row, cause)}),
    }


def estimate_tag(row: UsageRow, cause: str) -> Mapping[str, str]:
    """Return a tag with the dollars of the row that are estimates, for the causes which GPU sessions have."""
    nanos = row.counts.get(ESTIMATED, 0) if cause in SESSION_CAUSES else 0
    return {"row_estimated_usd": f"{Decimal(nanos) / NANOS:.9f}"} if nanos > 0 else {}


def midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
