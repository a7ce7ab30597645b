"""What does the caller store in a conversation, or change of its metadata?"""

from typing import Annotated, Any

from pydantic import WithJsonSchema

from api.http.validation import RequestPart
from api.parsing.responses_request import Metadata

MOST_ITEMS = 20
"""How many items one request may add."""

SHOWN: dict[str, Any] = {"type": "array", "items": {"type": "object"}, "maxItems": MOST_ITEMS}
"""What the OpenAPI document says of a list of items; `read_items` checks them, with better messages."""


class NewConversation(RequestPart):
    metadata: Metadata | None = None
    items: Annotated[list[Any], WithJsonSchema(SHOWN)] | None = None


class AddedItems(RequestPart):
    items: Annotated[list[Any], WithJsonSchema({**SHOWN, "minItems": 1})]


class ChangedMetadata(RequestPart):
    metadata: Metadata | None
