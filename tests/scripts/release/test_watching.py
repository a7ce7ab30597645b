"""Does the watch over a release wait as long as it should, and name what it saw?"""

from collections.abc import Callable

import httpx
import pytest

from scripts.release.watching import Pace, ReleaseError, ended, ready_state, turns, wait_until_listed, wait_until_served

NO_TIME = Pace(asks=6, agreeing=2, pause_s=0.0, sleep=lambda _: None)
PAGE = httpx.Response(502, text="<html>Bad Gateway</html>")


def app(*answers: httpx.Response | Exception) -> httpx.Client:
    """Return a client of an app that answers so, one after the other, and then always as at last."""
    left = list(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return httpx.Response(found.status_code, content=found.content)

    return httpx.Client(base_url="https://app", transport=httpx.MockTransport(answer))


def ready(release: str) -> httpx.Response:
    return httpx.Response(200, json={"status": "ok", "release": release})


def turn(status: str) -> httpx.Response:
    return httpx.Response(200, json={"id": "resp_1", "status": status})


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (ready("new"), "ok, release new"),
        (httpx.Response(503, json={"status": "degraded", "release": "new"}), "degraded, release new"),
        (httpx.Response(404, json={}), "404, release None"),
        (PAGE, "502, release None"),
        (httpx.Response(503, json=["starting"]), "503, release None"),
        (httpx.ConnectError("no"), "ConnectError"),
    ],
)
def test_an_app_that_is_not_ready_is_described(answer: httpx.Response | Exception, state: str) -> None:
    assert ready_state(app(answer)) == state


def test_a_release_is_served_when_its_answers_come_in_a_row() -> None:
    wait_until_served(app(ready("old"), ready("new"), ready("old"), ready("new"), ready("new")), "new", NO_TIME)
    alternating = app(*[ready("new"), ready("old")] * 3)
    with pytest.raises(ReleaseError, match=r"from release new; it was last: ok, release old"):
        wait_until_served(alternating, "new", NO_TIME)


def counting(*counts: int) -> Callable[[], int]:
    left = list(counts)
    return lambda: left.pop(0)


def test_the_functions_are_counted_until_they_are_listed() -> None:
    wait_until_listed(counting(0, 2, 75), 75, NO_TIME)
    with pytest.raises(ReleaseError, match="lists 2 of 75 functions"):
        wait_until_listed(counting(0, 0, 2, 2, 2, 2), 75, NO_TIME)


def test_a_turn_is_followed_until_it_ends() -> None:
    assert ended(app(turn("queued"), turn("in_progress"), turn("incomplete")), "resp_1", "t", NO_TIME) == "incomplete"
    with pytest.raises(ReleaseError, match="resp_1 is cancelled"):
        ended(app(turn("cancelled")), "resp_1", "t", NO_TIME)
    with pytest.raises(ReleaseError, match="resp_1 is still queued after 0 s"):
        ended(app(turn("queued")), "resp_1", "t", NO_TIME)


@pytest.mark.parametrize("lost", [PAGE, httpx.ReadTimeout("slow")])
def test_an_answer_that_is_lost_while_a_turn_runs_is_asked_for_again(lost: httpx.Response | Exception) -> None:
    assert ended(app(lost, turn("completed")), "resp_1", "t", NO_TIME) == "completed"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(403, json={"error": {"code": "forbidden"}}), "turn is rejected with 403: .*forbidden"),
        (PAGE, "turn is rejected with 502: <html>Bad Gateway"),
        (httpx.ConnectError("refused"), "turn gets no answer: ConnectError"),
    ],
)
def test_a_turn_that_does_not_begin_is_a_fault_of_the_release(answer: httpx.Response | Exception, problem: str) -> None:
    with pytest.raises(ReleaseError, match=problem):
        list(turns(app(answer), "t"))
