"""Which budgets and rate limits has a tenant, and how does an operator change them while the app runs?"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any, Final

from azurefunctions.extensions.http.fastapi import Request, Response
from msgspec import Struct

from api.endpoints.reports.parameters import require_role
from api.http.authentication import Authenticator, owner_of
from api.http.errors import json_answer
from api.http.request_body import BodyReader
from api.http.validation import validated
from api.parsing.limit_request import LimitsChange
from api.rendering.response import Json
from domain.errors import Forbidden, Invalid
from domain.identity.owners import Owner
from domain.identity.roles import AppRole
from domain.money.budgets import Budgets
from domain.turns.limit_changes import NAMES, LimitChanges, LimitValues, problem_of, values_of
from domain.turns.rate_limits import RateLimits
from state.money.limit_changes import REFRESH_S, ChangedLimits

NO_OPERATOR: Final = (
    "No tenant may change limits: set GANGLION_OPERATOR_TENANT to the tenant of this service's operators."
)


class ConfiguredLimits(Struct, frozen=True, kw_only=True):
    """What the settings and the file of budgets say.

    `operator` is the tenant whose people and applications may change the limits of every tenant; empty: none may.
    """

    budgets: Budgets
    rates: RateLimits
    operator: str
    tenants: frozenset[str]

    def values(self, tenant: str, changes: LimitChanges) -> LimitValues:
        """Return the value of every name that is in force."""
        return values_of(changes.budgets(self.budgets.of(tenant)), changes.rates(self.rates))


class LimitFunctions:
    """The HTTP functions of budgets and rate limits."""

    def __init__(
        self, *, authenticator: Authenticator, changes: ChangedLimits, configured: ConfiguredLimits, bodies: BodyReader
    ) -> None:
        self.authenticator = authenticator
        self.changes = changes
        self.configured = configured
        self.bodies = bodies

    async def retrieve(self, req: Request) -> Response:
        """`GET /v1/limits`"""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.OPERATIONS_READ)
        tenant = self.tenant_of(owner, req.query_params.get("tenant"))
        await self.changes.tenant(tenant).read()
        return self.answer(tenant)

    async def update(self, req: Request) -> Response:
        """`POST /v1/limits`"""
        owner = await owner_of(req, self.authenticator)
        require_role(owner, AppRole.LIMITS_WRITE)
        if owner.tenant != self.configured.operator:
            raise Forbidden(NO_OPERATOR if not self.configured.operator else "Only the operator's tenant may do this.")
        wanted = await self.bodies.read(req, partial(validated, LimitsChange))
        tenant = self.tenant_of(owner, wanted.tenant)
        values, reset = read_values(wanted.values or {}), read_names(wanted.reset or [])
        await self.changes.tenant(tenant).change(values, reset, by=owner.subject)
        return self.answer(tenant)

    def tenant_of(self, owner: Owner, wanted: str | None) -> str:
        """Return the tenant that is meant, by default the caller's; only operators may name another."""
        if wanted in (None, "", owner.tenant):
            return owner.tenant
        if owner.tenant != self.configured.operator or wanted not in self.configured.tenants:
            message = f"Invalid 'tenant': this service has no tenant {wanted!r} whose limits you may see."
            raise Invalid(message, field="tenant", code="invalid_value")
        return wanted

    def answer(self, tenant: str) -> Response:
        changes = self.changes.tenant(tenant).known
        return json_answer(limits_object(self.configured, tenant, changes))


def limits_object(configured: ConfiguredLimits, tenant: str, changes: LimitChanges) -> Json:
    """Return all limits of a tenant; numbers are decimal strings, null where there is no limit."""
    usual, in_force = configured.values(tenant, LimitChanges()), configured.values(tenant, changes)
    data = [
        {
            "id": name,
            "object": "limit",
            "in_force": text_of(in_force[name]),
            "configured": text_of(usual[name]),
            "changed": name in changes.values,
        }
        for name in NAMES
    ]
    return {
        "object": "limits",
        "tenant": tenant,
        "data": data,
        "changed_at": changes.at or None,
        "changed_by": changes.by or None,
        "in_force_within_s": REFRESH_S,
    }


def text_of(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


def read_values(given: Mapping[str, Any]) -> LimitValues:
    """Return the new values by name; raises Invalid for the first one that is wrong."""
    return {name: read_value(name, value) for name, value in given.items()}


def read_value(name: str, value: object) -> Decimal | None:
    """Return a number, written as one or as a decimal string; null stands for no limit."""
    try:
        read = None if value is None else Decimal(str(value)) if is_number(value) else Decimal("NaN")
    except InvalidOperation:
        read = Decimal("NaN")
    problem = problem_of(name, read)
    if problem:
        raise Invalid(f"Invalid 'values.{name}': {problem}.", field=f"values.{name}", code="invalid_value")
    return read


def is_number(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def read_names(given: list[str]) -> frozenset[str]:
    for number, name in enumerate(given):
        if name not in NAMES:
            message = f"Invalid 'reset[{number}]': expected one of {', '.join(NAMES)}."
            raise Invalid(message, field=f"reset[{number}]", code="invalid_value")
    return frozenset(given)
