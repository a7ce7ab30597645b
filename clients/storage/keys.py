"""Which partition key and id has each document of a turn?"""

from clients.storage.port import Container, DocumentKey
from domain.errors import NotFound
from domain.identity.owners import Owner
from domain.ids import is_response_id, own_token, thread_of

OWNER_INDEX = "book"
"""The partition that lists an owner's threads; no thread has this name."""

DELIVERIES = "announcement_"
ENTRIES = "entry_"
EXPIRIES = "expiry_"
THREADS = "thread_"
CONVERSATIONS = "conversation_"


def money_key(tenant: str) -> DocumentKey:
    return DocumentKey(container=Container.MONEY, parts=(tenant,))


def turns_key(owner: Owner, thread: str) -> DocumentKey:
    return DocumentKey(container=Container.TURNS, parts=(owner.tenant, owner.subject, thread))


def owner_index_key(owner: Owner) -> DocumentKey:
    return turns_key(owner, OWNER_INDEX)


def thread_id(thread: str) -> str:
    return f"{THREADS}{thread}"


def answer_id(key: str) -> str:
    """Return the id of the document in an owner's index that names the turn which answers a key."""
    return f"answer_{key}"


def slot_id(response_id: str, number: int) -> str:
    return f"{slot_prefix(response_id)}{number:06d}"


def slot_prefix(response_id: str) -> str:
    return f"slot_{own_token(response_id)}_"


def route_prefix(response_id: str) -> str:
    return f"route_{own_token(response_id)}_"


def retrieved_prefix(response_id: str) -> str:
    return f"given_{own_token(response_id)}_"


def sources_id(response_id: str) -> str:
    """Return the id of the document that lists the private data that a response read."""
    return f"{retrieved_prefix(response_id)}sources"


def rows_id(response_id: str) -> str:
    """Return the id of the document with the private data itself."""
    return f"{retrieved_prefix(response_id)}rows"


def whole_result_id(response_id: str, item_id: str, number: int) -> str:
    """Return the id of a part of a result that was cut."""
    return f"{retrieved_prefix(response_id)}{own_token(item_id)}_{number:03d}"


def pause_prefix(response_id: str) -> str:
    """Return how the ids begin of what was decided about the GPU of a response while its calls ran."""
    return f"{retrieved_prefix(response_id)}pause_"


def grant_prefix(response_id: str) -> str:
    return f"{retrieved_prefix(response_id)}grant_"


def grant_id(response_id: str, server: str) -> str:
    """Return the id of the sealed token with which a response calls a server in its caller's name."""
    return f"{grant_prefix(response_id)}{server}"


def delivery_id(response_id: str, endpoint: str) -> str:
    return f"{DELIVERIES}{own_token(response_id)}_{endpoint}"


def entry_id(number: int) -> str:
    return f"{ENTRIES}{number:09d}"


def expiry_id(identifier: str) -> str:
    return f"{EXPIRIES}{identifier}"


def response_key(owner: Owner, response_id: str) -> DocumentKey:
    """Return the partition that is part of a response's id; raises NotFound for other ids."""
    thread = thread_of(response_id)
    if thread is None or not is_response_id(response_id):
        raise NotFound.by_id("Response", response_id)
    return turns_key(owner, thread)


def conversation_key(owner: Owner, conversation_id: str) -> DocumentKey:
    """Return the partition that is part of a conversation's id; raises NotFound for other ids."""
    thread = thread_of(conversation_id)
    if thread is None or not conversation_id.startswith("conv_"):
        raise NotFound.by_id("Conversation", conversation_id)
    return turns_key(owner, thread)
