"""Is an event the same turn however often it arrives, and another one at each step and each try?"""

import json
from copy import replace

import pytest

from domain.identity.owners import Owner
from domain.ids import is_response_id, thread_of
from domain.pipelines.event_run import EventRun, RunStatus, event_digest

OWNER = Owner(tenant="t", subject="app:1")
DIGEST = event_digest("mail", "https://source.example", "1")
RUN = EventRun(pipeline="mail", owner=OWNER, digest=DIGEST, created_at=1000.5, marker="m", text="hello")


def test_an_event_is_known_by_its_pipeline_source_and_id_together() -> None:
    others = [("mail", "https://source.example", "2"), ("mail2", "https://source.example", "1"), ("mail", "s", "1")]
    shifted = [("mail", "a", "b1"), ("mail", "ab", "1"), ("mai", "la", "b1")]
    assert len({DIGEST, *(event_digest(*each) for each in (*others, *shifted))}) == 7
    assert event_digest("mail", "https://source.example", "1") == DIGEST


def test_the_turn_of_an_event_is_in_its_thread_and_follows_from_the_event() -> None:
    assert is_response_id(RUN.response)
    assert thread_of(RUN.response) == RUN.thread == DIGEST[:24]
    assert replace(RUN, text="other", marker="n", status=RunStatus.DEAD).response == RUN.response


def test_each_step_and_each_try_has_a_turn_of_its_own() -> None:
    second, again = RUN.next_step(), RUN.again()
    assert (second.previous, second.step) == (RUN.response, 1)
    assert len({each.response for each in (RUN, second, again, second.again(), again.next_step().next_step())}) == 5
    assert [RUN.is_at(each) for each in (RUN.entered(RunStatus.DEAD), second, again)] == [True, False, False]


def test_what_an_event_says_is_forgotten_when_it_is_done_and_only_then() -> None:
    texts = {status: RUN.entered(status, "why").text for status in RunStatus}
    assert texts == {**dict.fromkeys(RunStatus, "hello"), RunStatus.DONE: ""}
    dead = RUN.entered(RunStatus.DEAD, "no budget")
    assert (dead.reason, dead.again().status, dead.again().reason, dead.again().tries) == (
        "no budget",
        RunStatus.OPEN,
        "",
        1,
    )


@pytest.mark.parametrize(
    "run", [RUN, RUN.next_step(), replace(RUN, dead_at=1002.0, tries=3), replace(RUN, looked_at=1003.0)]
)
def test_a_run_is_read_as_it_was_written_and_found_by_when_it_was_looked_at(run: EventRun) -> None:
    body = json.loads(json.dumps(run.to_document()))
    assert EventRun.from_document(body) == run
    assert body["at"] == (run.looked_at or run.created_at)
