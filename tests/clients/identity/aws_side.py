"""Which service of AWS do tests call? One on this machine that verifies keys and signatures, and records the errors."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from standins.clock import now
from standins.issuer.aws_signatures import InvalidSignature, Scope, SignedRequest, verify_headers, verify_key
from tests.fakes.servers.web_servers import handled_by, served

CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


@dataclass(slots=True)
class AwsService:
    """Accepts what is signed for its scope; `ahead_s` is how far its clock is ahead."""

    scope: Scope
    ahead_s: float = 0.0
    url: str = ""
    errors: list[str] = field(default_factory=list[str])
    accepted: list[str] = field(default_factory=list[str])

    async def answer(self, request: web.Request) -> web.Response:
        try:
            await self.verify(request)
        except (InvalidSignature, KeyError, ValueError) as problem:
            self.errors.append(str(problem))
            headers = {"x-amzn-errortype": f"{problem}:http://internal.amazon.com/coral/"}
            return web.json_response({"message": "no"}, status=403, headers=headers)
        self.accepted.append(request.path_qs)
        return web.json_response(CHAT)

    async def verify(self, request: web.Request) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        at = now() + self.ahead_s
        if scheme == "Bearer":
            verify_key(key, self.scope, at)
            return
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = SignedRequest(method=request.method, target=request.raw_path, headers=headers, body=await request.read())
        verify_headers(seen, self.scope, at)


@asynccontextmanager
async def aws_service(service: str, region: str = "us-east-1") -> AsyncGenerator[AwsService]:
    found = AwsService(Scope(service=service, region=region))
    async with served(handled_by(found.answer)) as found.url:
        yield found


def json_bytes(body: Any) -> bytes:
    return json.dumps(body).encode()
