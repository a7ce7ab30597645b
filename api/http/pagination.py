"""Which page of a list does the caller want, and how is it shown?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from azurefunctions.extensions.http.fastapi import Request

from api.rendering.response import Json
from domain.errors import Invalid

type Order = Literal["asc", "desc"]

MOST = 100
USUAL = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Up to `limit` entries that follow the entry `after` (empty: from the beginning) in the order."""

    limit: int = USUAL
    after: str = ""
    order: Order = "desc"


def read_page_request(request: Request, *, usual_order: Order = "desc") -> PageRequest:
    """Read `limit`, `after` and `order` of a request for a list; raises Invalid."""
    given = request.query_params
    limit = given.get("limit", str(USUAL))
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= len(str(MOST)) and int(limit) <= MOST):
        raise Invalid(f"Invalid 'limit': expected 0 to {MOST}.", field="limit", code="invalid_value")
    order = given.get("order", usual_order)
    if order not in ("asc", "desc"):
        raise Invalid("Invalid 'order': expected asc or desc.", field="order", code="invalid_value")
    return PageRequest(limit=int(limit), after=given.get("after", ""), order=order)


def page_of[T](entries: Sequence[T], wanted: PageRequest, name: Callable[[T], str]) -> tuple[Sequence[T], bool]:
    """Return the wanted entries of a whole list (oldest first), and whether others follow.

    Raises Invalid where `after` is none of them.
    """
    ordered = list(entries) if wanted.order == "asc" else list(reversed(entries))
    if wanted.after:
        names = [name(each) for each in ordered]
        if wanted.after not in names:
            raise Invalid(f"Nothing here has the id '{wanted.after}'.", field="after", code="item_not_found")
        ordered = ordered[names.index(wanted.after) + 1 :]
    return ordered[: wanted.limit], len(ordered) > wanted.limit


def list_object(data: Sequence[Json], *, more: bool) -> Json:
    return {
        "object": "list",
        "data": list(data),
        "has_more": more,
        "first_id": shown_id(data[:1]),
        "last_id": shown_id(data[-1:]),
    }


def shown_id(data: Sequence[Json]) -> str:
    """Return the id of the only entry: a string even where there is none, as strict clients expect."""
    found: Any = data[0]["id"] if data else ""
    return str(found)
