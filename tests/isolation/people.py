"""Who lives side by side, and what does each of them have?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from domain.identity.owners import Owner
from tests.api.harness import CALLERS, NAMESAKES
from tests.isolation.probes import Ids, Json

OWNERS: Mapping[str, Owner] = {name: CALLERS[name] for name in ("mine", "strange")} | NAMESAKES
"""Two owners in each of two tenants, who have the same object ids there; the names are their tokens."""

SECRETS: Mapping[str, str] = {name: f"secret-of-{name}-7q" for name in OWNERS}
"""What nobody but its owner may ever read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a token, in front of a product."""

    name: str
    token: str
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.token}"}
        return await self.http.request(method, path, json=body, headers=headers)

    async def made(self, path: str, body: Json) -> Json:
        answer = await self.ask("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def belongings(self) -> Ids:
        """Make one of each: ids under the names of the parameters of paths, and some more."""
        secret = f"ECHO {SECRETS[self.name]}"
        response = await self.made("/v1/responses", {"model": "auto", "input": secret})
        after: Json = {"model": "auto", "input": secret, "previous_response_id": response["id"]}
        later = await self.made("/v1/responses", after)
        talk = await self.made("/v1/conversations", {"items": [{"role": "user", "content": secret}]})
        within = await self.made("/v1/responses", {"model": "auto", "input": secret, "conversation": talk["id"]})
        said: Json = {"role": "user", "content": secret}
        chat = await self.made("/v1/chat/completions", {"model": "auto", "store": True, "messages": [said]})
        items = (await self.ask("GET", f"/v1/conversations/{talk['id']}/items")).json()["data"]
        return {
            "response_id": response["id"],
            "conversation_id": talk["id"],
            "item_id": items[-1]["id"],
            "completion_id": chat["id"],
            "later response": later["id"],
            "response of the conversation": within["id"],
            "output": within["output"][0]["id"],
            "owner_id": OWNERS[self.name].subject.replace(":", "_"),
        }

    async def everything(self, ids: Ids) -> Mapping[str, Any]:
        """Read all that is his, by every way that there is."""
        paths = reading_paths(ids)
        return {path: (await self.ask("GET", path)).json() for path in paths}


def reading_paths(ids: Ids) -> Sequence[str]:
    responses = [ids[name] for name in ("response_id", "later response", "response of the conversation")]
    talk, chat = ids["conversation_id"], ids["completion_id"]
    return (
        *(f"/v1/responses/{each}" for each in responses),
        *(f"/v1/responses/{each}/input_items" for each in responses),
        f"/v1/conversations/{talk}",
        f"/v1/conversations/{talk}/items",
        f"/v1/conversations/{talk}/items/{ids['item_id']}",
        f"/v1/chat/completions/{chat}",
        f"/v1/chat/completions/{chat}/messages",
        "/v1/chat/completions",
    )
