"""Which items of an input ask for an approval, or give or deny one?"""

from pydantic import Field

from api.http.validation import RequestPart
from domain.content.items import Item, ItemKind, Role


class ApprovalRequestInput(RequestPart):
    """A request for an approval, as the service has sent it. What is approved is what the service has stored."""

    id: str = Field(min_length=1, max_length=256)
    server_label: str = Field(min_length=1, max_length=64)
    name: str = Field(min_length=1, max_length=128)
    arguments: str

    def item(self) -> Item:
        return Item(
            id="",
            kind=ItemKind.APPROVAL_REQUEST,
            text=self.arguments,
            name=self.name,
            server=self.server_label,
            approval=self.id,
        )


class ApprovalResponseInput(RequestPart):
    approval_request_id: str = Field(min_length=1, max_length=256)
    approve: bool
    reason: str | None = Field(default=None, max_length=4096)

    def item(self) -> Item:
        return Item(
            id="",
            kind=ItemKind.APPROVAL_RESPONSE,
            role=Role.USER,
            text=self.reason or "",
            approval=self.approval_request_id,
            approves=self.approve,
        )


class ReferenceInput(RequestPart):
    """A stored item, such as a request for an approval."""

    id: str = Field(min_length=1, max_length=256)
