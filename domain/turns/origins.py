"""What has started a turn: a batch, a pipeline, or a caller who takes cached answers?"""

from domain.money.usage import HIT, MISS, batch_origin, pipeline_origin
from domain.turns.response import ResponseOptions


def origin_of(options: ResponseOptions) -> str:
    """Return the origin by which the usage counts a turn; that of most turns is empty."""
    if options.batch:
        return batch_origin(options.batch)
    if options.pipeline:
        return pipeline_origin(options.pipeline.name)
    if options.cache:
        return HIT if options.cache.first else MISS
    return ""
