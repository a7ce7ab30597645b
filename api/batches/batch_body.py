"""Which batch does `POST /v1/batches` request?"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from api.http.validation import RequestPart, validated
from api.parsing.field_rules import FieldRule, FieldTreatment, ignored_fields
from api.parsing.responses_request import Metadata, own_metadata
from domain.batches.batch import LONGEST_WINDOW_S, SHORTEST_WINDOW_S, WINDOW, WINDOW_S, BatchRequest
from domain.errors import Invalid

WINDOW_KEY: Final = "window_s"
SHORTEST_KEEP_S, LONGEST_KEEP_S = 3600, 30 * 86_400
HONOURED: Final = FieldRule(treatment=FieldTreatment.HONOURED)
FIELDS: Final[Mapping[str, FieldRule]] = dict.fromkeys(
    ("endpoint", "input_file_id", "completion_window", "metadata", "output_expires_after"), HONOURED
)


class OutputExpiry(RequestPart):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=SHORTEST_KEEP_S, le=LONGEST_KEEP_S)]


class BatchBody(RequestPart):
    """The fields in the body of `POST /v1/batches`."""

    endpoint: Literal["/v1/responses", "/v1/chat/completions"]
    input_file_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    completion_window: str
    metadata: Metadata | None = None
    output_expires_after: OutputExpiry | None = None


def batch_request(body: Mapping[str, Any]) -> tuple[BatchRequest, tuple[str, ...]]:
    """Read a body; return the requested batch and the names of ignored fields. Raises Invalid naming what is wrong."""
    ignored = ignored_fields(body, FIELDS)
    request = validated(BatchBody, body)
    if request.completion_window != WINDOW:
        message = f"Invalid 'completion_window': expected {WINDOW}; {WINDOW_KEY} in the metadata sets another window."
        raise Invalid(message, field="completion_window", code="invalid_value")
    metadata, notes = own_metadata(request.metadata)
    kept = request.output_expires_after
    return BatchRequest(
        endpoint=request.endpoint,
        input_file=request.input_file_id,
        metadata=metadata,
        window_s=window_of(metadata),
        keep_s=float(kept.seconds) if kept else None,
    ), (*ignored, *notes)


def window_of(metadata: Mapping[str, str]) -> float:
    """Return the seconds that a batch may take: those of its window, or the ones that its metadata name."""
    text = metadata.get(WINDOW_KEY)
    if text is None:
        return WINDOW_S
    seconds = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(LONGEST_WINDOW_S)) else 0
    if not SHORTEST_WINDOW_S <= seconds <= LONGEST_WINDOW_S:
        path = f"metadata.{WINDOW_KEY}"
        message = f"Invalid '{path}': expected {SHORTEST_WINDOW_S} to {LONGEST_WINDOW_S} seconds, as a string."
        raise Invalid(message, field=path, code="invalid_value")
    return float(seconds)
