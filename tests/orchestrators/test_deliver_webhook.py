"""Does the orchestration of a delivery, through the real SDK, try until it is over and wait in between?"""

import json
from datetime import datetime, timedelta

from domain import wire
from orchestrators.deliver_webhook import deliver_webhook
from tests.checks import every
from tests.orchestrators.durable_host import Completes, DurableHost, EventType, Fails, Fires, replay, steps, turns_of
from tests.orchestrators.histories.paths import TURN

LATER = Completes({"delay_s": 300.0, "outcome": "later"})
TAKEN = Completes({"delay_s": 0.0, "outcome": "taken"})
DELIVERY = {**TURN, "endpoint": "main"}


def host_of(*events: Completes | Fires | Fails) -> DurableHost:
    host = DurableHost(DELIVERY, deliver_webhook)
    host.start()
    for event in events:
        host.apply(event)
    return host


def test_a_delivery_that_is_accepted_at_once_takes_one_step() -> None:
    host = host_of(TAKEN)
    assert (host.done, steps(host.history)) == (True, [wire.DELIVER_WEBHOOK])
    (completed,) = [event for event in host.history if event["EventType"] == EventType.EXECUTION_COMPLETED]
    assert json.loads(completed["Result"]) == {"outcome": "taken"}


def test_a_delivery_that_is_not_accepted_is_tried_again_when_its_timer_fires() -> None:
    host = host_of(LATER, Fires(), LATER)
    assert (host.done, steps(host.history)) == (False, [wire.DELIVER_WEBHOOK, "timer", wire.DELIVER_WEBHOOK, "timer"])
    timer = next(event for event in host.history if event["EventType"] == EventType.TIMER_CREATED)
    assert datetime.fromisoformat(timer["FireAt"]) - datetime.fromisoformat(timer["Timestamp"]) >= timedelta(
        seconds=299
    )
    host.apply(Fires())
    host.apply(TAKEN)
    assert host.done


def test_ten_tries_take_few_events_and_replay_the_same() -> None:
    host = host_of(*[LATER, Fires()] * 9, TAKEN)
    assert host.done
    assert len(host.history) <= 100
    assert every(
        replay(DELIVERY, handed, deliver_webhook) == replay(DELIVERY, handed, deliver_webhook)
        for handed, _ in turns_of(host.history)
    )


def test_a_step_whose_store_does_not_answer_is_repeated() -> None:
    host = host_of(Fails("store"), TAKEN)
    assert (host.done, steps(host.history)) == (True, [wire.DELIVER_WEBHOOK, "timer", wire.DELIVER_WEBHOOK])
