"""Which timers fire hours off? The SDK 1.x writes the wall clock of a time and drops its UTC offset."""

import functools
import logging
import sys
import traceback
from datetime import datetime
from pathlib import Path
from typing import Any

ACTION = "azure.durable_functions.models.actions.CreateTimerAction"
LIBRARIES = ("azure/durable_functions", "devhost/worker")
WARNING = (
    "%s creates a timer for %s. SDK 1.x drops the UTC offset, and the timer fires hours off: use "
    "context.current_utc_datetime, or convert the time with astimezone(UTC)."
)


def warn_of_timers_with_offsets() -> None:
    """Logs one warning for each line of the app that creates such a timer."""
    module: Any = sys.modules.get(ACTION)
    if module is not None:
        module.CreateTimerAction.__init__ = checked(module.CreateTimerAction.__init__)


def checked(create: Any) -> Any:
    warned: set[str] = set()

    @functools.wraps(create)
    def created(action: Any, fire_at: Any, *further: Any, **named: Any) -> None:
        has_offset = isinstance(fire_at, datetime) and fire_at.utcoffset()
        if has_offset and (line := line_of_app()) not in warned:
            warned.add(line)
            logging.getLogger("devhost").warning(WARNING, line, fire_at.isoformat())
        create(action, fire_at, *further, **named)

    return created


def line_of_app() -> str:
    """The file and line that called the SDK."""
    frames = traceback.extract_stack()
    own = [one for one in frames if not any(library in one.filename for library in LIBRARIES)]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}"
