"""Does a turn end with an answer whose model is a real one of 135 million parameters, which repeats its calls?"""

from pathlib import Path
from typing import Any

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from tests.end_to_end.callers import Json, asking, calling
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.tools.test_agent import shop_of
from tests.end_to_end.waiting import eventually

pytestmark = [pytest.mark.campaign, pytest.mark.long, pytest.mark.timeout(900)]

SHOP: Any = {"type": "mcp", "server_label": "shop", "require_approval": "never", "allowed_tools": ["find_order"]}
MOST_CALLS = 3
ENDINGS = {"max_rounds", "max_tool_calls", "invalid_arguments", "context", "budget", "deadline", None}


async def test_it_is_held_to_an_answer_within_its_limits_and_its_budget(tmp_path: Path) -> None:
    options = ClusterOptions(data=tmp_path, model="real", environment=HASTY | {"GANGLION_BUDGET_RESPONSE": "1"})
    async with LocalCluster(options) as cluster, calling(cluster) as caller:
        body = asking("Look up order A-1001 and tell me what it is.", model="auto", tools=[SHOP])
        body |= {"max_tool_calls": MOST_CALLS, "max_output_tokens": 200, "temperature": 0, "background": True}
        body["tool_choice"] = {"type": "mcp", "server_label": "shop"}
        started = (await caller.create(body)).json()

        async def look() -> Json | None:
            found = await caller.poll(started["id"])
            return None if found["status"] in {"queued", "in_progress"} else found

        made = await eventually(look, within_s=600.0, what="that the real model has answered")
        requests = (await shop_of(cluster))["requests"]
        route = (await caller.http.get(f"/v1/responses/{started['id']}/route")).json()
    calls = [each for each in made["output"] if each["type"] == "mcp_call"]
    assert made["status"] in {"completed", "incomplete"}
    assert made["output"][-1]["type"] == "message"
    assert len(calls) >= 1
    assert len(requests) <= MOST_CALLS
    assert made["metadata"].get("ganglion_ending") in ENDINGS
    assert float(route["cost_usd"]) <= 1
