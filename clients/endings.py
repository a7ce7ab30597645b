"""What else is committed when a turn ends?"""

from clients.expiries import expiry_of
from clients.storage.port import Operation, Store
from clients.takings import giving_back
from domain.turns import Response


async def ending_operations(store: Store, ended: Response) -> tuple[Operation, ...]:
    """Give the conversation back, and note when what is not to be stored goes."""
    return (*await giving_back(store, ended), *expiry_of(ended))
