"""Does a turn run once, however often it is started and asked for?"""

import asyncio
import secrets

from clients.orchestrations import turn_wire
from tests.checks import every
from tests.end_to_end.books import ALICE
from tests.end_to_end.callers import Json, asking, counted
from tests.end_to_end.conftest import Scene

RIVALS = 4
NOT_MINE = "not this execution's turn"


async def outputs(scene: Scene, *instances: str) -> list[str]:
    """Wait for orchestrations and return the statuses that they ended with."""
    ended = await asyncio.gather(*(scene.caller.orchestration_ended(instance) for instance in instances))
    return sorted(each["output"]["status"] for each in ended)


async def started(scene: Scene, instance: str, given: Json) -> None:
    assert await scene.caller.start_orchestration(instance, given) in {202, 409}


async def test_executions_that_race_on_one_response_run_it_once(scene: Scene) -> None:
    body = asking("COUNT 30")
    response = await scene.books.admit(body)
    given = dict(turn_wire(response))
    rivals = [f"{response.id}-{number}" for number in range(RIVALS)]
    async with asyncio.TaskGroup() as group:
        for instance in (*rivals, response.id, response.id):
            group.create_task(started(scene, instance, given))
        group.create_task(scene.caller.sweep())
    assert await outputs(scene, *rivals, response.id) == sorted(["completed", *[NOT_MINE] * RIVALS])
    assert len(await scene.caller.model_calls(body)) == 1
    await scene.books.assert_log(response.id, counted(30))
    await scene.books.settled(scene.caller, response.id)


async def test_a_turn_that_was_admitted_and_never_started_is_started_by_the_sweep(scene: Scene) -> None:
    body = asking("COUNT 12")
    response = await scene.books.admit(body)
    await scene.books.quiet(scene.caller)
    assert len(await scene.caller.model_calls(body)) == 1
    await scene.books.assert_log(response.id, counted(12))


async def test_a_start_that_is_repeated_after_completion_does_nothing(scene: Scene) -> None:
    body = asking("COUNT 8")
    response_id: str = (await scene.caller.create(body)).json()["id"]
    await scene.books.settled(scene.caller, response_id)
    slots = await scene.books.turns.slots(ALICE, response_id)
    report = await scene.caller.report(response_id)
    given = dict(turn_wire(await scene.books.turns.read(ALICE, response_id)))
    assert await scene.caller.start_orchestration(response_id, given) == 202
    assert await outputs(scene, response_id) == [NOT_MINE]
    assert await scene.books.turns.slots(ALICE, response_id) == slots
    assert await scene.caller.report(response_id) == report
    assert len(await scene.caller.model_calls(body)) == 1


async def test_sweeps_that_meet_running_turns_start_nothing_again(scene: Scene) -> None:
    bodies = [asking("COUNT 150") for _ in range(4)]
    following = asyncio.gather(*(scene.caller.follow(body) for body in bodies))
    while not following.done():
        await scene.caller.sweep()
    for reading, body in zip(await following, bodies, strict=True):
        await scene.books.assert_exact(reading, counted(150))
        assert len(await scene.caller.model_calls(body)) == 1


async def test_one_request_sent_many_times_under_one_key_becomes_one_turn(scene: Scene) -> None:
    body, key = asking("COUNT 40"), secrets.token_hex(8)
    sent = (scene.caller.create(body, **{"idempotency-key": key}) for _ in range(5))
    answers = [answer.json() for answer in await asyncio.gather(*sent)]
    assert {answer["id"] for answer in answers} == {answers[0]["id"]}
    assert every(answer["output"] == answers[0]["output"] for answer in answers)
    assert len(await scene.caller.model_calls(body)) == 1
    await scene.books.settled(scene.caller, answers[0]["id"])
    other = await scene.caller.create(asking("COUNT 41"), **{"idempotency-key": key})
    assert other.status_code == 409
    assert other.headers["x-should-retry"] == "false"


async def test_equal_requests_that_nobody_repeats_are_turns_of_their_own(scene: Scene) -> None:
    body = asking("COUNT 4")
    first, second = [(await scene.caller.create(body)).json() for _ in range(2)]
    again = (await scene.caller.create(body, **{"x-stainless-retry-count": "1"})).json()
    assert first["id"] != second["id"]
    assert again == second
    assert len(await scene.caller.model_calls(body)) == 2
