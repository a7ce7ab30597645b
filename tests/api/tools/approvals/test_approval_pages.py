"""Does a list of approvals go on after a request whose turn was deleted between two pages?"""

import pytest

from tests.api.tools.agents import calls
from tests.api.tools.approvals.test_waiting_approvals import (
    CLOSE,
    WITH_ROLE,
    Json,
    approvals,
    ask,
    code_of,
    requests_in,
    waiting,
)
from tests.fakes.tools import shop


@pytest.mark.parametrize("by", ["mine", "approver"])
async def test_the_next_page_follows_a_request_whose_turn_was_deleted(by: str) -> None:
    one = waiting(*(calls(CLOSE) for _ in range(3)), servers=shop(WITH_ROLE))
    made: list[Json] = []
    for _ in range(3):
        made.append(await ask(one))
        one.world.clock.advance(1)
    requests = [request for each in reversed(made) for request in requests_in(each)]
    first = await approvals(one, by=by, limit=1)
    assert (first["last_id"], first["has_more"]) == (requests[0], True)
    assert (await one.http.delete(f"/v1/responses/{made[-1]['id']}")).status_code == 200
    second = await approvals(one, by=by, limit=1, after=first["last_id"])
    assert [each["id"] for each in second["data"]] == [requests[1]]
    answer = await one.http.get(
        "/v1/approvals", params={"after": first["last_id"]}, headers={"authorization": "Bearer strange"}
    )
    assert code_of(answer) == (404, "item_not_found")
