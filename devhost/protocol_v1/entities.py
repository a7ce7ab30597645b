"""How are entity batches and their results converted to and from the SDK's JSON?"""

import json
from collections.abc import Mapping
from typing import Any

from devhost.engine.model.commands import Completed, Failed
from devhost.engine.model.work_items import EntityBatch, EntityBatchResult, EntityOperation


def operation_to_wire(operation: EntityOperation) -> dict[str, Any]:
    return {"name": operation.name, "input": operation.input, "isSignal": operation.parent is None}


def context_from_batch(batch: EntityBatch) -> str:
    """The JSON that the entity trigger receives."""
    _, name, key = batch.entity.split("@", 2)
    return json.dumps(
        {
            "self": {"name": name, "key": key},
            "exists": batch.state is not None,
            "state": batch.state,
            "batch": [operation_to_wire(one) for one in batch.operations],
        }
    )


def result_from_wire(wire: Mapping[str, Any]) -> Completed | Failed:
    text = wire.get("result")
    return Failed(reason=text or "null") if wire["isError"] else Completed(output=text)


def batch_result_from_text(text: str, batch: EntityBatch) -> EntityBatchResult:
    """Raises ValueError or KeyError if the text is not a result for this batch."""
    wire = json.loads(text)
    results = tuple(result_from_wire(one) for one in wire["results"])
    if len(results) != len(batch.operations):
        raise ValueError(f"{len(results)} results for {len(batch.operations)} operations")
    state = wire.get("entityState")
    return EntityBatchResult(state=(state or "null") if wire["entityExists"] else None, results=results)


def failed_batch(batch: EntityBatch, reason: str) -> EntityBatchResult:
    """The state stays unchanged, and every caller receives the reason."""
    failed = Failed(reason=json.dumps(reason))
    return EntityBatchResult(state=batch.state, results=(failed,) * len(batch.operations))
