"""Which items and metadata does the caller write to a conversation?"""

from typing import Annotated, Any

from pydantic import WithJsonSchema

from api.http.validation import RequestPart
from api.parsing.responses_request import Metadata

ITEMS_PER_REQUEST = 20


ITEMS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "object"}, "maxItems": ITEMS_PER_REQUEST}
"""The schema of an item list in the OpenAPI document; `read_items` checks the items, with better messages."""


class NewConversation(RequestPart):
    metadata: Metadata | None = None
    items: Annotated[list[Any], WithJsonSchema(ITEMS_SCHEMA)] | None = None


class NewItems(RequestPart):
    items: Annotated[list[Any], WithJsonSchema({**ITEMS_SCHEMA, "minItems": 1})]


class MetadataChange(RequestPart):
    """New metadata; null removes it, so it is not the same as absent."""

    null_is_absent = False
    metadata: Metadata | None
