"""Does a turn know what only the private data knows, of its own caller alone, and does it say what it used?"""

from typing import Any

import httpx
import pytest

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.callers import Json, asking, calling
from tests.end_to_end.conftest import Scene

BOTH = {"sources": "orders,documents"}


def text_of(answer: Json) -> str:
    assert answer["status"] == "completed", answer
    return answer["output"][0]["content"][0]["text"]


async def asked(scene: Scene, text: str, **more: Any) -> Json:
    answer = await scene.caller.create(asking(text, metadata=BOTH, **more))
    return answer.json()


async def requests_of(cluster: LocalCluster) -> list[Json]:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{cluster.model_url('private-data')}/__requests")).json()["requests"]


async def test_a_question_that_only_the_private_data_can_answer_is_answered(scene: Scene) -> None:
    answer = await asked(scene, "FACT telescope")
    assert text_of(answer).startswith('orders: {"arrives": "2026-11-27", "article": "a telescope')
    assert answer["metadata"]["ganglion_sources"].startswith("orders: 2 rows (A-1001, A-1002); documents: ")
    report = await scene.caller.report(answer["id"])
    assert [(each["source"], each["problem"]) for each in report["sources"]] == [("orders", ""), ("documents", "")]
    assert report["sources"][0]["ids"] == ["A-1001", "A-1002"]


async def test_everybody_reads_his_own_rows_alone(scene: Scene) -> None:
    async with calling(scene.cluster, scene.cluster.token("bob")) as bob:
        answer = (await bob.create(asking("FACT telescope", metadata=BOTH))).json()
        assert text_of(answer) == "fact not found"
        assert answer["metadata"]["ganglion_sources"].startswith("orders: 1 row (B-2001)")


async def test_a_turn_that_names_no_source_reads_none(scene: Scene) -> None:
    answer = (await scene.caller.create(asking("FACT telescope"))).json()
    assert text_of(answer) == "fact not found"
    assert "ganglion_sources" not in answer["metadata"]


async def test_an_unknown_source_is_rejected_by_its_name(scene: Scene) -> None:
    answer = await scene.caller.create(asking("hello", metadata={"sources": "orders,payroll"}))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "metadata.sources"
    assert "payroll" in answer.json()["error"]["message"]


async def test_nothing_of_a_request_but_words_reaches_the_private_data(scene: Scene) -> None:
    answer = await asked(scene, "ECHO ' or tenant ne 'x zebracrossing", instructions="instructionsecret")
    text_of(answer)
    sent = "".join(str(request) for request in await requests_of(scene.cluster))
    assert "zebracrossing" in sent
    assert "instructionsecret" not in sent
    assert "ne 'x" not in sent
    assert scene.cluster.token() not in sent


async def test_a_document_that_gives_orders_stays_a_line_of_data(scene: Scene) -> None:
    answer = await asked(scene, "FACT supplier")
    assert text_of(answer).startswith('documents: {"id": "D-13"')


@pytest.mark.parametrize("fault", [{"status": 500}, {"redirect": "http://169.254.169.254/"}])
async def test_a_source_that_fails_does_not_fail_the_turn(scene: Scene, fault: Json) -> None:
    admin = f"{scene.cluster.model_url('private-data')}/__faults"
    async with httpx.AsyncClient() as http:
        await http.put(admin, json=fault)
        try:
            answer = await asked(scene, "ECHO still here")
        finally:
            await http.put(admin, json={})
    assert text_of(answer) == "still here"
    assert "orders: it answered with status" in answer["metadata"]["ganglion_source_problems"]
    assert "ganglion_sources" not in answer["metadata"]
