"""Which ids have a batch, its lines and their turns?

The id of a line's turn follows from the batch and the number of the line, so a step that runs twice has the same turn.
"""

import hashlib
import re
from typing import Final

from domain.batches.batch import CHUNK_LINES, Batch
from domain.ids import member_id, thread_of

BATCH_ID: Final = re.compile(r"batch_(?P<thread>[0-9a-f]{24})")


def batch_id(thread: str) -> str:
    return f"batch_{thread}"


def thread_of_batch(identifier: str) -> str | None:
    """Return the thread that has the documents of a batch, or None where the format of the id is wrong."""
    found = BATCH_ID.fullmatch(identifier)
    return found["thread"] if found else None


def chunk_of(line: int) -> int:
    return line // CHUNK_LINES


def chunk_thread(batch: str, chunk: int) -> str:
    """Return the thread of the turns of a chunk of lines."""
    return digest(f"{batch} chunk {chunk}")[:24]


def line_token(batch: Batch, line: int) -> str:
    """Return 24 hexadecimal digits; like all tokens, they begin with a time."""
    return f"{int(batch.created_at * 1000):012x}{digest(f'{batch.id} line {line}')[:12]}"


def response_id_of(batch: Batch, line: int, *, parent: str | None = None) -> str:
    """Return the id of a line's turn, in the thread of the response or conversation `parent` that it continues."""
    thread = thread_of(parent or "") or chunk_thread(batch.id, chunk_of(line))
    return member_id("resp", thread=thread, token=line_token(batch, line))


def ending_id(batch: str) -> str:
    """Return the id under which the end of a batch is announced to webhooks; no response has it."""
    return member_id("resp", thread=thread_of_batch(batch) or "", token=digest(f"{batch} end")[:24])


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
