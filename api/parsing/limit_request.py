"""Which budgets and rate limits does an operator change?"""

from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

from api.http.validation import RequestPart
from domain.turns.limit_changes import LARGEST, LEAST, NAMES, OPTIONAL

NUMBER: Final[list[dict[str, Any]]] = [
    {"type": "number", "minimum": float(LEAST), "maximum": LARGEST},
    {"type": "string"},
]
VALUES_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {name: {"anyOf": [*NUMBER, *([{"type": "null"}] if name in OPTIONAL else [])]} for name in NAMES},
    "additionalProperties": False,
}
NAMES_SCHEMA: Final[dict[str, Any]] = {"type": "array", "items": {"type": "string", "enum": list(NAMES)}}


class LimitsChange(RequestPart):
    """New values by name, null for no limit; names in `reset` are as configured again."""

    tenant: str | None = None
    values: Annotated[dict[str, Any], WithJsonSchema(VALUES_SCHEMA)] | None = None
    reset: Annotated[list[str], WithJsonSchema(NAMES_SCHEMA)] | None = None
