"""What has started a turn: a batch, a pipeline, or a caller who takes cached answers?

An origin is a text such as `batch:batch_…`, `pipeline:tickets` or `cache:hit`; that of any other turn is empty.
"""

from enum import StrEnum
from typing import Final

from domain.turns.response import ResponseOptions


class OriginKind(StrEnum):
    """A batch by its id, a pipeline by its name; of turns that may take an answer over, whether they did."""

    BATCH = "batch"
    PIPELINE = "pipeline"
    CACHE = "cache"


HIT: Final = f"{OriginKind.CACHE}:hit"
MISS: Final = f"{OriginKind.CACHE}:miss"


def origin_of(options: ResponseOptions) -> str:
    """Return the origin by which the usage counts a turn."""
    if options.batch:
        return batch_origin(options.batch)
    if options.pipeline:
        return pipeline_origin(options.pipeline.name)
    if options.cache:
        return HIT if options.cache.first else MISS
    return ""


def batch_origin(batch: str) -> str:
    return f"{OriginKind.BATCH}:{batch}"


def pipeline_origin(pipeline: str) -> str:
    return f"{OriginKind.PIPELINE}:{pipeline}"


def origin_name(origin: str, kind: str) -> str | None:
    """Return the name in an origin of a kind; None where it has another kind."""
    found, _, name = origin.partition(":")
    return name if found == kind else None
