"""Which turns has an owner or a tenant, newest first?

The entries are written in the batch that reserves money for a turn, so that every admitted turn has them.
"""

from clients.storage.port import Create
from domain.money.ledger_records import Reservation
from state.time_index import time_entry_id

TENANT_PREFIX = "turn_all_"


def owner_prefix(subject: str) -> str:
    return f"turn_of_{subject}_"


def index_operations(reservation: Reservation) -> tuple[Create, Create]:
    """Return the entries of a turn in the lists of its owner and of its tenant."""
    body = {
        "kind": "turn",
        "v": 1,
        "at": reservation.at,
        "response": reservation.response,
        "subject": reservation.subject,
    }
    prefixes = (owner_prefix(reservation.subject), TENANT_PREFIX)
    own, whole = (time_entry_id(each, reservation.at, reservation.response) for each in prefixes)
    return Create(id=own, body=body), Create(id=whole, body=body)
