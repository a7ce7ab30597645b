"""How does an attempt keep the id of a prediction, so that a later run reads the same one?

The id stands in the log before its output is read. A mark stands there before it is created: a run that finds the mark
alone does not know whether the prediction exists, and never creates a second one.
"""

from collections.abc import Sequence
from copy import replace
from typing import Final

from activities.inference.log_writer import LogWriter
from clients.backends.port import BackendCall, BackendClient, BackendError, PredictionClient
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import Slot

CREATING: Final = "?"


async def with_prediction(
    client: BackendClient, call: BackendCall, writer: LogWriter, earlier: Sequence[Slot]
) -> BackendCall:
    """Return the call with its prediction, of an earlier run or a new one. Raises BackendError and Superseded.

    `earlier` are the slots of the attempt's earlier runs.
    """
    if not isinstance(client, PredictionClient):
        return call
    known = next((slot.prediction for slot in reversed(earlier) if slot.prediction), "")
    if known == CREATING:
        raise BackendError(Failure(kind=FailureKind.RESET))
    if not known:
        await writer.write((), prediction=CREATING)
        known = await client.create(call)
        await writer.write((), prediction=known)
    return replace(call, prediction=known)
