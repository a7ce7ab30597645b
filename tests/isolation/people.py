"""Which callers share a deployment, and which data does each of them own?"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from domain.identity.owners import Owner
from tests.api.harness import CALLERS, NAMESAKES
from tests.isolation.probes import Ids, Json

OWNERS: Mapping[str, Owner] = {name: CALLERS[name] for name in ("mine", "strange")} | NAMESAKES
"""Two owners in each of two tenants, with the same object ids in both; the names are their tokens."""

SHOP: Json = {"type": "mcp", "server_label": "shop", "require_approval": "always"}
WAITING = "response that waits"
PATIENCE_S = 60
SECRETS: Mapping[str, str] = {name: f"secret-of-{name}-7q" for name in OWNERS}
"""A text in each owner's data that no other owner may read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A caller with an access token."""

    name: str
    token: str
    http: httpx.AsyncClient

    async def send(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def create(self, path: str, body: Json) -> Json:
        answer = await self.send("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def create_data(self) -> Ids:
        """Create one object of each kind; return their ids by the names of path parameters, and a few more."""
        secret = f"ECHO {SECRETS[self.name]}"
        response = await self.create("/v1/responses", {"model": "auto", "input": secret})
        after: Json = {"model": "auto", "input": secret, "previous_response_id": response["id"]}
        later = await self.create("/v1/responses", after)
        conversation = await self.create("/v1/conversations", {"items": [{"role": "user", "content": secret}]})
        within = await self.create(
            "/v1/responses", {"model": "auto", "input": secret, "conversation": conversation["id"]}
        )
        message: Json = {"role": "user", "content": secret}
        chat = await self.create("/v1/chat/completions", {"model": "auto", "store": True, "messages": [message]})
        items = (await self.send("GET", f"/v1/conversations/{conversation['id']}/items")).json()["data"]
        headers = {"authorization": f"Bearer {self.token}"}
        upload = {"file": (f"{SECRETS[self.name]}.txt", SECRETS[self.name].encode())}
        sent = await self.http.post("/v1/files", files=upload, data={"purpose": "user_data"}, headers=headers)
        assert sent.status_code == 200, sent.text
        batch = await self.create_batch(secret)
        waiting = await self.create_waiting(secret)
        return {
            WAITING: waiting["id"],
            "batch_id": batch["id"],
            "input of the batch": batch["input_file_id"],
            "file_id": sent.json()["id"],
            "response_id": response["id"],
            "conversation_id": conversation["id"],
            "item_id": items[-1]["id"],
            "completion_id": chat["id"],
            "later response": later["id"],
            "response of the conversation": within["id"],
            "output": within["output"][0]["id"],
            "owner_id": OWNERS[self.name].subject.replace(":", "_"),
        }

    async def create_waiting(self, secret: str) -> Json:
        """Return a turn that waits in place for an approval of a call with the secret among its arguments."""
        rounds = [[["shop__refund_order", {"number": secret, "amount": 1}]]]
        prompt = f"PLAN {json.dumps(rounds)} THEN {secret}"
        body: Json = {"model": "auto", "input": prompt, "background": True, "tools": [SHOP]}
        made = await self.create("/v1/responses", {**body, "metadata": {"approval_wait_s": "2592000"}})
        async with asyncio.timeout(PATIENCE_S):
            while not made["output"] or made["output"][-1]["type"] != "mcp_approval_request":
                assert made["status"] in {"queued", "in_progress"}, made
                await asyncio.sleep(0)
                made = (await self.send("GET", f"/v1/responses/{made['id']}")).json()
        return made

    async def create_batch(self, secret: str) -> Json:
        line: Json = {"custom_id": "1", "method": "POST", "url": "/v1/responses"}
        content = json.dumps(line | {"body": {"model": "auto", "input": secret, "max_output_tokens": 64}})
        headers = {"authorization": f"Bearer {self.token}"}
        upload = {"file": (f"{SECRETS[self.name]}.jsonl", content.encode())}
        sent = await self.http.post("/v1/files", files=upload, data={"purpose": "batch"}, headers=headers)
        body: Json = {"input_file_id": sent.json()["id"], "endpoint": "/v1/responses", "completion_window": "24h"}
        return await self.create("/v1/batches", body)

    async def read_all(self, ids: Ids) -> Mapping[str, Any]:
        """Read all data of the caller through every endpoint."""
        paths = reading_paths(ids)
        return {path: content_of(await self.send("GET", path)) for path in paths}


def content_of(answer: httpx.Response) -> Any:
    return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


def reading_paths(ids: Ids) -> Sequence[str]:
    responses = [ids[name] for name in ("response_id", "later response", "response of the conversation")]
    conversation, chat = ids["conversation_id"], ids["completion_id"]
    return (
        *(f"/v1/responses/{each}" for each in responses),
        *(f"/v1/responses/{each}/input_items" for each in responses),
        f"/v1/conversations/{conversation}",
        f"/v1/conversations/{conversation}/items",
        f"/v1/conversations/{conversation}/items/{ids['item_id']}",
        f"/v1/chat/completions/{chat}",
        f"/v1/chat/completions/{chat}/messages",
        "/v1/chat/completions",
        "/v1/conversations",
        "/v1/files",
        f"/v1/files/{ids['file_id']}",
        f"/v1/files/{ids['file_id']}/content",
        "/v1/approvals",
        f"/v1/responses/{ids[WAITING]}",
        "/v1/batches",
        f"/v1/batches/{ids['batch_id']}",
        "/v1/turns",
        "/v1/budgets",
    )
