"""Does the report of a turn say what each step is about, and what its GPU sessions cost and why?"""

from ganglion.remote.turn_report import details_of, session_lines, settled_lines


def test_the_steps_of_a_timeline_say_what_they_are_about() -> None:
    told = [
        details_of(each)
        for each in (
            {"step": "begun"},
            {"step": "warm-up", "backend": "gpu", "reason": "no warm backend", "outcome": "sent"},
            {"step": "waiting", "backend": "gpu", "reason": "starting", "until": 0},
            {"step": "taken over", "lost_s": 4.5, "previous": [1, 19], "next": [None, None]},
        )
    ]
    assert told == [
        "",
        ": gpu, no warm backend, sent",
        ": gpu, starting, until 1970-01-01 00:00:00 UTC",
        ": no writer for 4.500 s, events 1 to 19 before, no event after",
    ]


def test_a_provisional_session_says_what_is_charged_expected_and_why() -> None:
    amounts = {"charged_usd": "0.38", "used_usd": "0.006", "expected_usd": "0.24"}
    session = {
        **amounts,
        "backend": "gpu",
        "lines": [{**amounts, "line": "tail", "charged_usd": "0.356"}],
        "final_after": 0,
        "reason": "The machine is paid until it stops.",
        "responses": ["resp_1", "resp_2"],
        "members_of_others": 3,
        "price": {"name": "l4", "source": "a page", "date": "2026-08"},
    }
    head, titles, tail, whole, *rest = session_lines([session])
    assert head == "\nGPU session on gpu: final after 1970-01-01 00:00:00 UTC"
    assert titles.split() == ["charged", "now", "used", "so", "far", "expected"]
    assert tail.split() == ["GPU", "idle", "time", "$0.356", "$0.006", "$0.24"]
    assert whole.split() == ["total", "$0.38", "$0.006", "$0.24"]
    assert [each.strip() for each in rest] == [
        session["reason"],
        "shared with 1 more of your turns and 3 turns of other owners",
        "price l4, a page, 2026-08",
    ]


def test_a_session_that_is_over_says_what_was_charged_before_and_why_that_changed() -> None:
    session = {"backend": "gpu", "provisional_usd": "0.38", "final_usd": "0.24", "reason": "The time was divided."}
    line, reason = settled_lines([session])
    assert line == "\nGPU session on gpu: provisional $0.38, final $0.24"
    assert reason.strip() == session["reason"]
