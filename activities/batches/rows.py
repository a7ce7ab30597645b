"""What does a line of a batch's files of results look like?"""

import json
from typing import Any, cast

from activities.batches.ports import LineAnswer
from domain.batches.batch import Batch
from domain.batches.line_ids import line_token

OK = 200
EXPIRED = {"code": "batch_expired", "message": "The window of the batch ended before the line was answered."}
DAMAGED = {
    "code": "damaged_record",
    "message": "The stored result of the line is damaged and cannot be read. Send the line again in another batch.",
}
GONE = {"code": "response_deleted", "message": "The response was deleted before the batch ended."}


def row_of(
    batch: Batch,
    line: int,
    custom_id: str,
    *,
    answer: LineAnswer | None = None,
    request_id: str = "",
    error: dict[str, str] | None = None,
) -> str:
    """Return the JSON of a line, which ends without a newline."""
    response = {"status_code": answer.status, "request_id": request_id, "body": answer.body} if answer else None
    row = {"id": f"batch_req_{line_token(batch, line)}", "custom_id": custom_id, "response": response, "error": error}
    return json.dumps(row, separators=(",", ":"))


def custom_id_of(content: bytes | None) -> str:
    """Return the id that the caller gave a line, which was checked before."""
    if content is None:
        return ""
    line = cast("dict[str, Any]", json.loads(content))
    return str(line.get("custom_id", ""))
