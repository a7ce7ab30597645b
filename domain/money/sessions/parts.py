"""How do many processes change one GPU session without a document that all of them change?

Each process keeps its members in a part of its own. The session is that of all parts together. Times are seconds since
the epoch.
"""

from collections.abc import Iterable, Mapping
from copy import replace
from typing import Any, Final, Self

from msgspec import Struct

from domain.money.sessions.gpu_sessions import MAX_RECENT_ENDS, NO_MEMBERS, GpuSession

PART_KIND: Final = "session_part"


class SessionPart(Struct, frozen=True, kw_only=True):
    """What one process knows of a session; the fields are those of the session.

    `members` is below 0 where members of other parts were removed here.
    """

    running: Mapping[str, str] = NO_MEMBERS
    recent_ends: tuple[float, ...] = ()
    members: int = 0
    last_end: float = 0.0
    ready_at: float | None = None

    @classmethod
    def of(cls, session: GpuSession) -> Self:
        return cls(
            running=session.running,
            recent_ends=session.recent_ends,
            members=session.members,
            last_end=session.last_end,
            ready_at=session.ready_at,
        )

    def within(self, session: GpuSession) -> GpuSession:
        """Return a session that consists of this part alone."""
        return replace(
            session,
            running=self.running,
            recent_ends=self.recent_ends,
            members=self.members,
            last_end=self.last_end,
            ready_at=self.ready_at,
        )

    def without(self, records: frozenset[str]) -> "SessionPart":
        """Return the part without these attempts: they run no more. As members they still count."""
        return replace(self, running={name: tenant for name, tenant in self.running.items() if name not in records})

    def after(self, before: GpuSession, after: GpuSession) -> "SessionPart":
        """Return the part of the process that makes one change to a whole session; what ends is removed elsewhere."""
        entered = {name: tenant for name, tenant in after.running.items() if name not in before.running}
        ended = after.recent_ends[-1:] if after.recent_ends != before.recent_ends else ()
        return SessionPart(
            running={**self.running, **entered},
            recent_ends=(*self.recent_ends, *ended)[-MAX_RECENT_ENDS:],
            members=self.members + after.members - before.members,
            last_end=self.last_end if after.last_end == before.last_end else after.last_end,
            ready_at=self.ready_at if after.ready_at == before.ready_at else after.ready_at,
        )

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": PART_KIND,
            "v": 1,
            "running": dict(self.running),
            "recent": list(self.recent_ends),
            "members": self.members,
            "ends": self.last_end,
            "ready_at": self.ready_at,
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            running=body["running"],
            recent_ends=tuple(body["recent"]),
            members=body["members"],
            last_end=body["ends"],
            ready_at=body["ready_at"],
        )


def whole_session(session: GpuSession, parts: Iterable[SessionPart]) -> GpuSession:
    """Return the session of which `session` and the parts are the parts."""
    known = [SessionPart.of(session), *parts]
    if len(known) == 1:
        return session
    whole = SessionPart(
        running={name: tenant for part in known for name, tenant in part.running.items()},
        recent_ends=tuple(sorted(end for part in known for end in part.recent_ends))[-MAX_RECENT_ENDS:],
        members=sum(part.members for part in known),
        last_end=max(part.last_end for part in known),
        ready_at=min((part.ready_at for part in known if part.ready_at is not None), default=None),
    )
    return whole.within(session)
