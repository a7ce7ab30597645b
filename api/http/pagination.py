"""Which page of a list does the caller request, and how is a page returned?"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from azurefunctions.extensions.http.fastapi import Request
from msgspec import Struct

from api.rendering.response import Json
from domain.errors import Invalid

type Order = Literal["asc", "desc"]

LIMIT = 100
FILES_LIMIT = 10_000
"""A list of files has larger pages, as OpenAI's has."""
DEFAULT_LIMIT = 20


class PageRequest(Struct, frozen=True, kw_only=True):
    """Up to `limit` entries after the entry `after` in the order; from the first entry where `after` is empty."""

    limit: int = DEFAULT_LIMIT
    after: str = ""
    order: Order = "desc"


def read_page_request(request: Request, *, default_order: Order = "desc", most: int = LIMIT) -> PageRequest:
    """Read the query parameters `limit` (up to `most`), `after` and `order`; raises Invalid."""
    query = request.query_params
    limit = query.get("limit", str(DEFAULT_LIMIT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) <= len(str(most)) and 1 <= int(limit) <= most):
        raise Invalid(f"Invalid 'limit': expected 1 to {most}.", field="limit", code="invalid_value")
    order = query.get("order", default_order)
    if order not in ("asc", "desc"):
        raise Invalid("Invalid 'order': expected asc or desc.", field="order", code="invalid_value")
    return PageRequest(limit=int(limit), after=query.get("after", ""), order=order)


def read_newest_first(request: Request) -> PageRequest:
    """Read the page of a list that has only one order; raises Invalid."""
    wanted = read_page_request(request)
    if wanted.order != "desc":
        raise Invalid("Invalid 'order': this list is newest first (desc).", field="order", code="invalid_value")
    return wanted


def unknown_cursor(after: str) -> Invalid:
    message = f"Invalid 'after': the list has no entry with id '{after}'."
    return Invalid(message, field="after", code="item_not_found")


def page_of[T](entries: Sequence[T], page: PageRequest, id_of: Callable[[T], str]) -> tuple[Sequence[T], bool]:
    """Return the requested page of a complete list (oldest first), and whether more entries follow.

    Raises Invalid where `after` is not in the list.
    """
    ordered = list(entries) if page.order == "asc" else list(reversed(entries))
    if page.after:
        names = [id_of(each) for each in ordered]
        if page.after not in names:
            raise unknown_cursor(page.after)
        ordered = ordered[names.index(page.after) + 1 :]
    return ordered[: page.limit], len(ordered) > page.limit


def list_object(data: Sequence[Json], *, more: bool) -> Json:
    return {
        "object": "list",
        "data": list(data),
        "has_more": more,
        "first_id": edge_id(data[:1]),
        "last_id": edge_id(data[-1:]),
    }


def continued_list(data: Sequence[Json], *, more: bool, last: str) -> Json:
    """Return a list that continues after the id `last`, which may be one that a filter left out."""
    body = list_object(data, more=more)
    return body | {"last_id": last} if more else body


def edge_id(data: Sequence[Json]) -> str:
    """Return the id of a list of at most one entry; strict clients expect a string even where it is empty."""
    identifier: Any = data[0]["id"] if data else ""
    return str(identifier)
