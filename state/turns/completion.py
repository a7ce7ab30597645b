"""What else is committed when a turn ends?"""

from clients.storage.port import Operation, Store
from domain.turns.response import Response
from state.turns.conversation_lock import giving_back
from state.turns.expiry import expiry_of


async def ending_operations(store: Store, ended: Response) -> tuple[Operation, ...]:
    """Give the conversation back, and note when what is not to be stored goes."""
    return (*await giving_back(store, ended), *expiry_of(ended))
