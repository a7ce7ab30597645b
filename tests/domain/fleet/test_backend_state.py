"""Is the state of a backend what its file says at first, and is every later one stored whole?"""

import json

from hypothesis import given
from hypothesis import strategies as st

from domain.fleet.backend_state import BackendState, initial_state
from domain.fleet.failure_classes import FailureClass
from domain.fleet.state_updates import (
    after_start,
    after_success,
)
from tests.domain.fleet.test_state_updates import GPU, NOW, failed, seen


def test_a_backend_that_was_never_tried_has_its_configured_state() -> None:
    state = initial_state(GPU)
    assert (state.start_times.p50_s, state.start_times.p99_s, state.speed.decode_tokens_s) == (60, 120, 50)
    assert not state.warmth.is_warm(NOW)
    assert state.load.running(NOW) == 0


events = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.sampled_from(["a", "b"])),
        st.tuples(st.just("success"), st.floats(min_value=0, max_value=1000)),
        st.tuples(st.just("failure"), st.sampled_from(FailureClass)),
    ),
    max_size=30,
)


@given(events)
def test_any_sequence_of_updates_leaves_a_state_that_survives_json(history: list[tuple[str, object]]) -> None:
    state = initial_state(GPU)
    for what, detail in history:
        if what == "start":
            state = after_start(state, attempt=str(detail), until=NOW + 10, now=NOW)
        elif isinstance(detail, float):
            state = after_success(state, seen(ended_at=NOW + 1 + detail, cold_s=detail), GPU)
        elif isinstance(detail, FailureClass):
            state = failed(state, detail)
    stored = json.loads(json.dumps(state.to_document()))
    assert stored["v"] == 1
    assert BackendState.from_document(stored) == state
    assert BackendState.from_document({"kind": "belief", **stored}) == state
    assert state.speed.decode_tokens_s > 0
    assert state.speed.prefill_tokens_s > 0
    assert state.start_times.p50_s <= max(state.start_times.p99_s, GPU.cold_start.p99_s)
