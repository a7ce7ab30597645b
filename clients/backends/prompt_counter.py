"""How many tokens does a backend count in a chat, without answering it?

llama.cpp takes the body of a chat at `chat/completions/input_tokens` and answers `{"input_tokens": N}`; vLLM takes
`model`, `messages` and `tools` at `/tokenize` and answers `{"count": N, …}`. Both apply the model's chat template.
"""

import asyncio
from typing import Any, Final, cast

import httpx

from clients.backends.http_backend import HttpBackend
from clients.backends.observed_failures import failure_of
from clients.backends.port import BackendCall, BackendError
from clients.backends.probe import address_of
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.request_forms import TokenCounting

PROMPT_FIELDS: Final = ("model", "messages", "tools", "tool_choice")
"""The fields of a chat that its prompt is made of."""


class HttpPromptCounter:
    """Counts at one backend. It sends one small request, which counts as a request of the backend's GPU session."""

    def __init__(self, backend: HttpBackend, counting: TokenCounting) -> None:
        self.backend = backend
        self.counting = counting

    async def count(self, call: BackendCall) -> int:
        """Return the tokens of the prompt. Raises BackendError."""
        body = self.backend.request_body(call)
        sent = {name: body[name] for name in PROMPT_FIELDS if name in body}
        deadline = asyncio.get_running_loop().time() + self.backend.backend.limits.request_timeout_s
        address = address_of(self.backend.wire.base, self.counting.path)
        response = await self.backend.send("POST", address, deadline, json=sent)
        try:
            if not response.is_success:
                raise BackendError(await failure_of(response, self.backend.silence_s))
            return await self.counted(response)
        finally:
            await response.aclose()

    async def counted(self, response: httpx.Response) -> int:
        try:
            await response.aread()
            answer: Any = response.json()
        except (httpx.HTTPError, ValueError) as error:
            raise BackendError(Failure(kind=FailureKind.BAD_FRAME)) from error
        found = cast("dict[str, Any]", answer).get(self.counting.field) if isinstance(answer, dict) else None
        if type(found) is not int or found < 0:
            raise BackendError(Failure(kind=FailureKind.BAD_FRAME))
        return found
