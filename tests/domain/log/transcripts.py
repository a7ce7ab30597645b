"""Which transcript do events give without a store?"""

from domain.log.events import LogEvent
from domain.log.transcript import Transcript, after_event


def log_of(*events: LogEvent) -> Transcript:
    log = Transcript()
    for event in events:
        log = after_event(log, event)
    return log
