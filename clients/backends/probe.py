"""Where is a backend's probe sent, and what does the status of its answer prove?"""

from urllib.parse import urlsplit

from domain.fleet.failure_classes import FailureKind
from domain.fleet.request_forms import Probe


def address_of(base: str, path: str) -> str:
    """Return the address of a path of a backend. One that begins with a slash is relative to the origin."""
    if not path.startswith("/"):
        return f"{base}/{path}"
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc}{path}"


def failure_kind(probe: Probe, status: int) -> FailureKind | None:
    """Return what an answer to a probe means; None where it proves that the backend is up."""
    if status in probe.up:
        return None
    if status in probe.starting:
        return FailureKind.PROBE_STARTING
    return FailureKind.PROBE_REFUSED if status in probe.refused else FailureKind.STATUS
