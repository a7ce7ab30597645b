"""Are the parts of a session together the session?"""

from copy import replace

from domain.money.sessions.gpu_sessions import MAX_RECENT_ENDS, GpuSession
from domain.money.sessions.parts import SessionPart, whole_session

SESSION = GpuSession(
    id="s",
    backend="gpu",
    price="gpu",
    started=100.0,
    cold_s=10.0,
    last_end=120.0,
    ready_at=112.0,
    running={"r1": "anne"},
    recent_ends=(115.0, 120.0),
    members=3,
)
OTHER = SessionPart(running={"r2": "bob"}, recent_ends=(118.0,), members=2, last_end=118.0, ready_at=111.0)


def test_a_session_in_one_part_is_itself() -> None:
    assert whole_session(SESSION, []) == SESSION
    assert SessionPart.of(SESSION).within(SESSION) == SESSION


def test_the_members_of_all_parts_count_and_the_earliest_readiness_and_the_latest_end() -> None:
    assert whole_session(SESSION, [OTHER]) == replace(
        SESSION,
        running={"r1": "anne", "r2": "bob"},
        recent_ends=(115.0, 118.0, 120.0),
        members=5,
        last_end=120.0,
        ready_at=111.0,
    )
    unready = whole_session(replace(SESSION, ready_at=None), [replace(OTHER, ready_at=None)])
    assert unready.ready_at is None


def test_only_the_latest_ends_are_kept() -> None:
    many = replace(OTHER, recent_ends=tuple(float(end) for end in range(MAX_RECENT_ENDS)))
    found = whole_session(SESSION, [many]).recent_ends
    assert len(found) == MAX_RECENT_ENDS
    assert found[-1] == 120.0
    assert found == tuple(sorted(found))


def test_a_part_takes_over_what_one_change_adds() -> None:
    entered = replace(SESSION, running={"r1": "anne", "r3": "anne"}, members=4)
    assert OTHER.after(SESSION, entered) == replace(OTHER, running={"r2": "bob", "r3": "anne"}, members=3)
    ended = replace(SESSION, running={}, recent_ends=(115.0, 120.0, 130.0), last_end=130.0, ready_at=110.0)
    assert OTHER.after(SESSION, ended) == replace(OTHER, recent_ends=(118.0, 130.0), last_end=130.0, ready_at=110.0)
    assert OTHER.after(SESSION, SESSION) == OTHER


def test_attempts_that_run_no_more_still_count_as_members() -> None:
    assert OTHER.without(frozenset({"r2", "r9"})) == replace(OTHER, running={})


def test_a_part_is_read_as_it_was_written() -> None:
    assert SessionPart.from_document(OTHER.to_document()) == OTHER
