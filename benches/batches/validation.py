"""How long does the largest batch take from its upload to the end of its check? `python -m benches.batches.validation`.

50,000 lines have 16 MiB together. The baseline reads the same lines with `json` and hashes them. The memory is that of
the whole process, above what it had after a batch of 100 lines.
"""

import asyncio
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benches.batches.measured import line, product
from benches.tables import print_table
from domain.batches.batch import LINES_LIMIT, Batch, BatchRequest
from domain.batches.line_ids import batch_id
from state.files.upload import FileUpload
from tests.fakes.worlds import OWNER, World

FILE_BYTES: Final = 16 * 1024 * 1024
PADDING: Final = b"x" * (FILE_BYTES // LINES_LIMIT - len(line(LINES_LIMIT)))
FEW: Final = 100
KIB_PER_MIB: Final = 1024
STATUS: Final = Path("/proc/self/status")


def lines_of(number: int) -> Iterator[bytes]:
    for at in range(number):
        yield line(at).replace(b'"line ', b'"' + PADDING + b" ", 1)


async def checked(world: World[Any], number: int) -> int:
    """Upload and check a batch; return the bytes of its file."""
    upload = FileUpload(world.app.state.files, OWNER)
    for each in lines_of(number):
        await upload.add(each)
    stored = await upload.complete(filename=f"{number}.jsonl", purpose="batch", keep_s=None)
    request = BatchRequest(endpoint="/v1/responses", input_file=stored.id, metadata={}, window_s=86_400)
    batch = Batch(id=batch_id(world.clock.token()), owner=OWNER, created_at=world.clock.now(), request=request)
    await world.app.state.batches.create(batch)
    named: Any = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": batch.id, "traceparent": ""}
    found = await world.app.batches.check.check(named)
    assert found["lines"] == number, found
    return stored.size


def plain_seconds() -> float:
    started, digest = time.process_time(), hashlib.sha256()
    for each in lines_of(LINES_LIMIT):
        digest.update(each)
        json.loads(each)
    return time.process_time() - started


def peak_mib() -> float:
    """Return the most memory of this program so far; `ru_maxrss` would count its parent before the exec, too."""
    (peak,) = (each for each in STATUS.read_text().splitlines() if each.startswith("VmHWM:"))
    return int(peak.split()[1]) / KIB_PER_MIB


async def measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        world, store = product(Path(folder))
        await checked(world, FEW)
        before, started, worked = peak_mib(), time.perf_counter(), time.process_time()
        size = await checked(world, LINES_LIMIT)
        seconds, grown = time.perf_counter() - started, peak_mib() - before
        processor = time.process_time() - worked
        await store.store.close()
    plain = plain_seconds()
    head = ("lines", "file, MiB", "seconds", "CPU seconds", "CPU ÷ that of a plain reader", "memory added, MiB")
    figures = (f"{size / 2**20:.1f}", f"{seconds:.1f}", f"{processor:.1f}", f"{processor / plain:.1f}", f"{grown:.0f}")
    row = (f"{LINES_LIMIT:,}", *figures)
    print_table(head, [row])


if __name__ == "__main__":
    asyncio.run(measure())
