"""Which days does a report cover, and may the caller read it?"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from domain.errors import Forbidden, Invalid
from domain.identity.owners import Owner
from domain.identity.roles import AppRole, has_role


def read_day(parameters: Mapping[str, str], name: str) -> date | None:
    """Return the day of a query parameter, in UTC; None where it is absent. Raises Invalid."""
    try:
        return date.fromisoformat(parameters[name]) if name in parameters else None
    except ValueError:
        message = f"Invalid '{name}': expected a date such as 2026-11-22."
        raise Invalid(message, field=name, code="invalid_value") from None


def start_of_day(parameters: Mapping[str, str], name: str, *, plus_days: int = 0) -> float | None:
    """Return when the day of a query parameter begins, or a later day, in seconds since the epoch; raises Invalid."""
    day = read_day(parameters, name)
    if day is None:
        return None
    try:
        return datetime.combine(day + timedelta(days=plus_days), time(), tzinfo=UTC).timestamp()
    except OverflowError:
        raise Invalid(f"Invalid '{name}': the date is too late.", field=name, code="invalid_value") from None


def read_flag(parameters: Mapping[str, str], name: str) -> bool:
    """Return a query parameter that is true or false, false where it is absent. Raises Invalid."""
    if parameters.get(name, "false") not in ("true", "false"):
        raise Invalid(f"Invalid '{name}': expected true or false.", field=name, code="invalid_value")
    return parameters.get(name) == "true"


def require_role(owner: Owner, role: AppRole) -> None:
    """Raise Forbidden where the caller's token does not grant a role."""
    if not has_role(owner, role):
        message = f"This request needs the app role {role}. Ask an administrator of your organisation to assign it."
        raise Forbidden(message)
