"""Under which key does each document of a turn live?"""

from clients.store import Container, Key
from domain.errors import NotFound
from domain.ids import is_response, own_token, thread_of
from domain.owners import Owner


def turns_key(owner: Owner, thread: str) -> Key:
    return Key(container=Container.TURNS, parts=(owner.tenant, owner.subject, thread))


def slot_id(response_id: str, number: int) -> str:
    return f"{slot_prefix(response_id)}{number:06d}"


def slot_prefix(response_id: str) -> str:
    return f"slot_{own_token(response_id)}_"


def route_prefix(response_id: str) -> str:
    return f"route_{own_token(response_id)}_"


def response_key(owner: Owner, response_id: str) -> Key:
    """Return the partition that a response's id names; raises NotFound where it is no id of ours."""
    thread = thread_of(response_id)
    if thread is None or not is_response(response_id):
        raise NotFound(f"Response with id '{response_id}' not found.")
    return turns_key(owner, thread)
