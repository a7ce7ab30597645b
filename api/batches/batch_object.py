"""How is a batch shown? The object is the one of the OpenAI API."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from domain.batches.batch import WINDOW, Batch, BatchStatus
from domain.batches.totals import BatchTotals
from state.batches.line_costs import LineCosts

type Json = dict[str, Any]

ENDING_KEY: Final = "ganglion_ending"
METADATA_LIMIT: Final = 16
NOTE_CHARACTERS: Final = 512


def openai_from_batch(
    batch: Batch, totals: BatchTotals, errors: Sequence[Mapping[str, Any]], *, pause: str = ""
) -> Json:
    """Return a batch as an object; `pause` is why it does not run now."""
    at = {status.value: int(batch.times[status]) if status in batch.times else None for status in BatchStatus}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.request.endpoint,
        "model": batch.model,
        "errors": {"object": "list", "data": [dict(each) for each in errors]} if batch.errors else None,
        "input_file_id": batch.request.input_file,
        "completion_window": WINDOW,
        "status": batch.status.value,
        "output_file_id": batch.output_file,
        "error_file_id": batch.error_file,
        "created_at": int(batch.created_at),
        "expires_at": int(batch.expires_at),
        **{f"{name}_at": at[name] for name in at if name != BatchStatus.VALIDATING},
        "request_counts": {"total": batch.lines, "completed": totals.completed, "failed": totals.failed},
        "usage": openai_from_totals(totals),
        "metadata": noted(batch, pause),
    }


def openai_from_totals(totals: BatchTotals) -> Json:
    return {
        "input_tokens": totals.input_tokens,
        "input_tokens_details": {"cached_tokens": totals.cached_tokens},
        "output_tokens": totals.output_tokens,
        "output_tokens_details": {"reasoning_tokens": totals.reasoning_tokens},
        "total_tokens": totals.input_tokens + totals.output_tokens,
    }


def noted(batch: Batch, pause: str) -> Json:
    """Return the caller's metadata, and why the batch pauses where there is room for it."""
    metadata = dict(batch.request.metadata)
    if pause and len(metadata) < METADATA_LIMIT:
        metadata[ENDING_KEY] = f"paused: {pause}"[:NOTE_CHARACTERS]
    return metadata


def openai_from_costs(costs: LineCosts | None, lines: int) -> Json | None:
    """Return the dollars of all lines so far, and of one that has cost any on average; None where they are unknown."""
    if costs is None:
        return None
    each = costs.total / costs.lines if costs.lines else Decimal(0)
    return {"lines": lines, "total_usd": f"{costs.total:.9f}", "line_usd": f"{each:.9f}", "final": costs.is_final}
