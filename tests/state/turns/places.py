"""How does a test hold conversations, and run turns in them?"""

from copy import replace

from domain.content.items import Item, Role
from domain.identity.owners import Owner
from domain.ids import member_id, thread_of
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.item_events import ItemHeader
from domain.turns.conversations import Conversation
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.conversations import ConversationStore
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

STRANGER = Owner(tenant=OWNER.tenant, subject="user:other")
CREATED = (LogEvent(kind=EventKind.CREATED),)


class Place:
    """Conversations and turns over one store."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.turns = TurnStore(self.store, self.clock, WebhookEndpoints())
        self.conversations = ConversationStore(self.store, self.clock)

    async def conversation(self, *texts: str) -> Conversation:
        return await self.conversations.create(OWNER, metadata={}, items=[said(text) for text in texts])

    async def asked(self, conversation: Conversation, text: str, *, store: bool = True) -> tuple[Response, Item]:
        """Return a turn that reads the conversation as it stands, not admitted yet."""
        now = await self.conversations.read(OWNER, conversation.id)
        thread = thread_of(conversation.id) or ""
        item = replace(said(text), id=member_id("msg", thread=thread, token=self.clock.token()))
        response = Response(
            id=member_id("resp", thread=thread, token=self.clock.token()),
            owner=OWNER,
            created_at=self.clock.now(),
            deadline_at=self.clock.now() + 600,
            input_items=(item.id,),
            options=ResponseOptions(model="model", store=store),
            history=ResponseHistory(conversation=conversation.id, reads_before=now.next_entry),
        )
        return response, item

    async def admitted(self, conversation: Conversation, text: str) -> Response:
        response, item = await self.asked(conversation, text)
        await self.turns.admit(response, (item,), CREATED)
        return response

    async def answered(
        self, conversation: Conversation, text: str, answer: str, status: ResponseStatus = ResponseStatus.COMPLETED
    ) -> Response:
        response = await self.admitted(conversation, text)
        await self.turns.begin(OWNER, response.id, execution="run")
        head = ItemHeader(id=member_id("msg", thread=response.thread, token=self.clock.token()))
        events = (
            LogEvent(kind=EventKind.ITEM_ADDED, header=head),
            LogEvent(kind=EventKind.PART_ADDED),
            LogEvent(kind=EventKind.TEXT, text=answer),
        )
        slot = Slot(number=2, writer="run", first=2, at=self.clock.now(), events=events)
        assert await self.turns.append(OWNER, response.id, slot)
        return await self.turns.finish(OWNER, response.id, status=status)

    async def texts(self, conversation: Conversation) -> list[str]:
        page = await self.conversations.items(OWNER, conversation.id, limit=100, order="asc")
        return [item.text for item in page.items]


def said(text: str) -> Item:
    return Item(id="", role=Role.USER, text=text)
