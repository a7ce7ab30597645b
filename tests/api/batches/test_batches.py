"""Does a batch answer each of its lines once, as the endpoint would, and end as it should?"""

from tests.api.batches.jobs import create, ended, line, rows
from tests.api.harness import ANSWER, api


async def test_each_line_has_the_answer_of_its_endpoint() -> None:
    one = api()
    batch = await create(one, [line(number) for number in range(3)])
    assert batch["status"] == "validating"
    done = await ended(one, batch)
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    found = await rows(one, done["output_file_id"])
    assert [each["custom_id"] for each in found] == ["line-0", "line-1", "line-2"]
    for each in found:
        body = each["response"]["body"]
        assert each["error"] is None
        assert each["response"]["status_code"] == 200
        assert body["output"][0]["content"][0]["text"] == ANSWER
        assert body == (await one.http.get(f"/v1/responses/{body['id']}")).json()
        assert (await one.http.get(f"/v1/responses/{body['id']}/route")).json()["route"]["backend"] == "main"
    assert done["error_file_id"] is None
