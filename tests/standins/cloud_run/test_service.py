"""Does the GPU service start, hold and reject requests, scale in and bill like Cloud Run?"""

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from tests.standins.cloud_run.harness import PACED, Gpu, running_gpu
from tests.standins.conftest import chat_body
from tests.standins.programs import is_running, started_program
from tests.standins.sse import bodies_of, text_of


async def test_a_request_starts_an_instance_and_waits_for_it(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=1) as service:
        assert await service.is_cold()
        began = time.monotonic()
        answer = await service.ask("COUNT 3")
        longest_s = time.monotonic() - began
        (entry,) = (await service.admin("requests"))["requests"]
        (session,) = await service.sessions()
    assert answer.json()["choices"][0]["message"]["content"] == "1 2 3"
    assert answer.headers["server"] == "Google Frontend"
    assert (entry["instance"], entry["status"], entry["how"]) == (1, 200, "done")
    assert 1 <= entry["waited_s"] <= longest_s
    assert 1 <= session["start_s"] <= longest_s


async def test_a_warm_request_does_not_wait(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=0) as service:
        await service.ask()
        began = time.monotonic()
        await service.ask()
        longest_s = time.monotonic() - began
        requests = (await service.admin("requests"))["requests"]
        (session,) = await service.sessions()
    assert requests[1]["waited_s"] <= longest_s
    assert (requests[0]["instance"], requests[1]["instance"], session["requests"]) == (1, 1, 2)


async def test_a_stream_is_forwarded_while_it_is_written(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0) as service:
        body = chat_body("COUNT 20", stream=True)
        async with service.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            pieces = [piece async for piece in answer.aiter_text()]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert len(pieces) > 10
    assert text_of(bodies_of("".join(pieces))) == " ".join(map(str, range(1, 21)))


async def test_the_answer_of_the_model_keeps_its_status(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=0) as service:
        answer = await service.ask("FAIL 503")
    assert answer.status_code == 503
    assert answer.headers["content-type"].startswith("application/json")


async def test_scaled_time_bills_the_seconds_of_the_service(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, spare=True, speed=100, start=100, tail=100) as service:
        began = time.monotonic()
        await service.ask()
        await service.wait_until(Gpu.is_cold)
        (session,) = await service.sessions()
        longest_s = 100 * (time.monotonic() - began)
    assert 100 <= session["start_s"] <= longest_s
    assert 200 <= session["billed_s"] <= longest_s + 0.1
    assert session["why"] == "idle"


async def test_it_scales_to_zero_after_its_idle_time_and_its_process_ends(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=0, tail=0.3) as service:
        await service.ask()
        (instance,) = await service.instances()
        await service.wait_until(Gpu.is_cold)
        await service.ask()
        sessions = await service.sessions()
        on_disk = json.loads((service.data / "bill.json").read_text())["sessions"]
    assert not is_running(instance["pid"])
    assert [session["why"] for session in sessions] == ["idle", None]
    assert [session["number"] for session in on_disk] == [1, 2]


async def test_a_request_in_the_idle_time_restarts_it(tmp_path: Path) -> None:
    """Requests that come half an idle time apart; on a busy machine with a longer one."""
    for tail in (0.6, 3.0, 15.0):
        async with running_gpu(tmp_path / str(tail), start=0, tail=tail) as service:
            gaps = [await service.ask_after(tail / 2) for _ in range(4)]
            sessions = await service.sessions()
        if max(gaps[1:]) < tail:
            assert len(sessions) == 1
            return
    pytest.fail("no request came within the idle time")


async def test_an_answering_instance_is_not_idle(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0, tail=0.1) as service:
        await service.ask("COUNT 50")
        (session,) = await service.sessions()
    assert session["billed_s"] > 1


async def test_it_rejects_a_waiting_request_like_google_and_its_start_continues(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, speed=50, spare=True, start=60, average_start=1, abandoned_starts="no") as service:
        refused = await service.ask()
        await service.wait_until(Gpu.is_ready)
        answered = await service.ask()
        requests = (await service.admin("requests"))["requests"]
    assert (refused.status_code, refused.text) == (429, "Rate exceeded.")
    assert refused.headers["server"] == "Google Frontend"
    assert refused.headers["content-type"].startswith("text/plain")
    assert answered.status_code == 200
    assert [entry["how"] for entry in requests] == ["gave-up", "done"]


@pytest.mark.parametrize(("average", "hold"), [(1, 10), (10, 35), (100, 350)])
async def test_the_hold_time_follows_from_the_average_start(tmp_path: Path, average: float, hold: float) -> None:
    async with running_gpu(tmp_path, start=average) as service:
        assert (await service.admin("state"))["options"]["hold"] == hold


async def test_traffic_that_outruns_the_start_gets_500(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=1, most_waiting=2) as service:
        answers = await asyncio.gather(*(service.ask() for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 500, 500]
    refused = next(answer for answer in answers if answer.status_code == 500)
    assert refused.headers["content-type"].startswith("text/html")
    assert refused.headers["server"] == "Google Frontend"


async def test_the_time_limit_ends_the_answer_but_not_the_work(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0, timeout=30) as service:
        await service.ask("COUNT 1")
        await service.change(timeout=0.3)
        late = await service.ask("COUNT 50")
        (instance,) = await service.instances()
        assert instance["busy"] == 1
        await service.wait_until(is_idle)
        record = await service.client.get(f"http://127.0.0.1:{instance['port']}/admin/requests")
    (_, served) = record.json()["requests"]
    assert (late.status_code, late.text) == (504, "upstream request timeout")
    assert (served["how"], served["tokens"]) == ("done", 50)


async def test_the_time_limit_cuts_a_stream(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0) as service:
        await service.ask("COUNT 1")
        await service.change(timeout=0.3)
        with pytest.raises(httpx.HTTPError):
            await service.client.post("/v1/chat/completions", json=chat_body("COUNT 50", stream=True))
        requests = (await service.admin("requests"))["requests"]
    assert requests[1]["how"] == "timed-out"


async def test_the_time_limit_comes_before_the_hold_where_it_is_shorter(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=30, timeout=0.2) as service:
        assert (await service.ask()).status_code == 504
        assert [instance["state"] for instance in await service.instances()] == ["starting"]


async def test_an_abandoned_request_still_starts_an_instance(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=1, abandoned_starts="yes") as service:
        await service.ask_and_disconnect(0.2)
        await service.wait_until(Gpu.is_ready)
        (session,) = await service.sessions()
    assert session["requests"] == 0


async def test_an_abandoned_request_starts_no_instance_when_so_configured(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=1, abandoned_starts="no") as service:
        await service.ask_and_disconnect(0.2)
        await service.wait_until(Gpu.is_cold)
        (session,) = await service.sessions()
    assert (session["ready"], session["why"]) == (None, "abandoned")


async def test_a_start_continues_while_other_requests_wait_for_it(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=1, abandoned_starts="no") as service:
        async with asyncio.TaskGroup() as group:
            stays = group.create_task(service.ask())
            group.create_task(service.ask_and_disconnect(0.2))
        assert stays.result().status_code == 200
        assert len(await service.sessions()) == 1


async def test_a_caller_that_disconnects_during_the_answer_frees_its_place(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0) as service:
        await service.ask("COUNT 1")
        async with service.client.stream(
            "POST", "/v1/chat/completions", json=chat_body("COUNT 500", stream=True)
        ) as left:
            await anext(left.aiter_bytes())
        await service.wait_until(is_idle)
        requests = (await service.admin("requests"))["requests"]
    assert requests[1]["how"] == "client-closed"


ROUND_S = 0.5
"""How long an answer of 25 words takes."""


async def test_an_instance_serves_only_its_number_of_requests_in_their_order(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0, concurrency=2) as service:
        await service.ask("COUNT 1")
        asked = [asyncio.create_task(service.ask("COUNT 25")) for _ in range(6)]
        await asyncio.gather(*asked)
        requests = (await service.admin("requests"))["requests"][1:]
        (session,) = await service.sessions()
    rounds = [round(entry["waited_s"] / ROUND_S) for entry in requests]
    assert rounds == [0, 0, 1, 1, 2, 2]
    assert session["requests"] == 7


async def test_it_grows_to_its_maximum_and_no_further(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0.5, concurrency=1, max_instances=2) as service:
        answers = await asyncio.gather(*(service.ask("COUNT 5") for _ in range(4)))
        sessions = await service.sessions()
    assert {answer.status_code for answer in answers} == {200}
    assert len(sessions) == 2


async def test_a_crashed_instance_breaks_its_answers_and_another_starts(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=PACED, start=0) as service:
        await service.ask("COUNT 1")
        (instance,) = await service.instances()
        pending = asyncio.create_task(service.ask("COUNT 500"))
        await service.wait_until(is_busy)
        os.kill(instance["pid"], signal.SIGKILL)
        assert (await pending).status_code == 503
        await service.wait_until(Gpu.is_cold)
        assert (await service.ask("COUNT 1")).status_code == 200
        assert [session["why"] for session in await service.sessions()] == ["crashed", None]


async def test_a_model_that_does_not_start_is_unavailable(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, command=["/bin/false"], start=0) as service:
        answer = await service.ask()
        assert (answer.status_code, answer.headers["server"]) == (503, "Google Frontend")
        assert [session["why"] for session in await service.sessions()] == ["failed"]


async def test_an_idle_instance_can_be_scaled_in(tmp_path: Path) -> None:
    async with running_gpu(tmp_path, start=0) as service:
        await service.ask()
        await service.client.post("/admin/scale-in")
        assert await service.is_cold()


async def test_an_unknown_option_is_named_in_the_error(tmp_path: Path) -> None:
    async with running_gpu(tmp_path) as service:
        for options in ({"colour": "red"}, {"start": "-1"}, {"concurrency": 0}, {"abandoned_starts": "maybe"}):
            answer = await service.change(**options)
            assert answer.status_code == 400
            assert next(iter(options)) in answer.json()["error"]


def test_its_instances_end_with_it(tmp_path: Path) -> None:
    model = ["--", *PACED]
    with started_program("standins.cloud_run", "--start", "0", "--no-auth", "--data", str(tmp_path), *model) as (
        process,
        port,
    ):
        base = f"http://127.0.0.1:{port}"
        assert httpx.post(f"{base}/v1/chat/completions", json=chat_body("COUNT 1"), timeout=20).status_code == 200
        (instance,) = httpx.get(f"{base}/admin/state").json()["instances"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not is_running(instance["pid"])
    assert json.loads((tmp_path / "bill.json").read_text())["sessions"][0]["why"] == "stopped"


async def is_idle(service: Gpu) -> bool:
    return not any(instance["busy"] for instance in await service.instances())


async def is_busy(service: Gpu) -> bool:
    return not await is_idle(service)
