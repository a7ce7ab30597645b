"""What else is committed when a turn ends?"""

from clients.storage.port import DocumentStore, Operation
from domain.turns.response import Response
from state.turns.conversation_lock import unlock_operations
from state.turns.expiry import expiry_of


async def completion_operations(store: DocumentStore, ended: Response) -> tuple[Operation, ...]:
    """Give the conversation back, and note when what is not to be stored goes."""
    return (*await unlock_operations(store, ended), *expiry_of(ended))
