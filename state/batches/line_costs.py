"""What have the turns of a batch's lines cost so far?"""

from decimal import Decimal
from typing import Final, NamedTuple

from clients.storage.damage import readable
from clients.storage.keys import money_key
from clients.storage.paging import list_all
from clients.storage.port import Document, DocumentStore
from domain.batches.batch import Batch
from domain.batches.line_ids import chunk_thread
from domain.money.attempt_charge import AttemptStatus
from domain.money.ledger_records import AttemptRecord, attempt_prefix, turn_cost

MOST_CHUNKS: Final = 64
"""The cost of a batch with more chunks is not added up: it would take as many lists."""


class LineCosts(NamedTuple):
    """The dollars of all records, how many lines have any, and whether the batch costs no more and no less."""

    total: Decimal
    lines: int
    is_final: bool


async def costs_of_lines(store: DocumentStore, batch: Batch) -> LineCosts | None:
    """Add up the records of the turns in the threads of the chunks; None where there are too many.

    Lines that continue a response or conversation have their records in its thread, and are not counted. A record that
    is damaged is left out, and no sum without it is final.
    """
    if batch.chunks > MOST_CHUNKS:
        return None
    key, total, lines, is_final = money_key(batch.owner.tenant), Decimal(0), 0, batch.status.has_ended
    for chunk in range(batch.chunks):
        prefix = attempt_prefix(f"resp_{chunk_thread(batch.id, chunk)}").removesuffix("_")
        found = await list_all(store, key, prefix=prefix)
        records = tuple(readable(found, attempt_record))
        total += turn_cost(records)
        lines += len({each.response for each in records})
        is_whole = len(records) == len(found)
        is_final = is_final and is_whole and all(each.charge.status is AttemptStatus.CLOSED for each in records)
    return LineCosts(total, lines, is_final)


def attempt_record(document: Document) -> AttemptRecord:
    return document.read_as(AttemptRecord.from_document)
