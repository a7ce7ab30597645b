"""Does a real vLLM, on a CPU, show what the product takes it for: while it loads, when it answers, and when it counts?

`make vllm VLLM=…` names the program. vLLM's own page says how it is installed for CPUs:
https://docs.vllm.ai/en/latest/getting_started/installation/cpu. The model is two layers of random weights over the
bytes of a text, so nothing else is downloaded and nothing that it writes has a meaning.
"""

import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from copy import replace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from clients.backends.http_backend import HttpBackend
from clients.backends.port import AnswerEnd, TextPiece
from clients.backends.prompt_counter import HttpPromptCounter
from domain.content.tools import FunctionTool, ToolConfig
from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import FailureClass
from domain.turns.response import Sampling
from standins.processes.ports import free_port
from tests.checks import every
from tests.conformance.installing import GIVEN
from tests.conformance.models.model_servers import answer, diagnosed, running, up
from tests.contracts.backends.scene import asking, backend_of
from tests.fakes.backends import http_backend

PROGRAM = os.environ.get("VLLM", "")
pytestmark = [
    pytest.mark.campaign,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not PROGRAM, reason="not run: VLLM names no vLLM built for CPUs"),
]

START_S = 1800
"""How long a busy machine may take to start vLLM, or to compile what its first log probabilities need."""

BYTES = pre_tokenizers.ByteLevel.alphabet()
ENDS = ("<s>", "</s>", "<|user|>", "<|assistant|>")
TEMPLATE = (
    "{% if tools %}{{ tools | tojson }}{% endif %}{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
BEGINNING = "The largest"
LOOK = FunctionTool(name="look", description="Looks.", parameters={"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    server: subprocess.Popen[bytes]
    client: HttpBackend

    async def up(self) -> HttpBackend:
        await up(self.client, self.server, within_s=START_S)
        return self.client


def write_model(folder: Path) -> None:
    """Write a model whose tokens are bytes; its weights are drawn by vLLM."""
    words = {word: number for number, word in enumerate((*ENDS, *sorted(BYTES)))}
    tokenizer: Any = Tokenizer(BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in ENDS])
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": TEMPLATE}), encoding="utf-8")
    shutil.copy(GIVEN / "vllm" / "config.json", folder)


@pytest.fixture
async def starting(tmp_path: Path) -> AsyncIterator[Starting]:
    """A vLLM that has just been started."""
    write_model(tmp_path / "model")
    port = free_port()
    options = ("--host", "127.0.0.1", "--port", str(port), "--served-model-name", "scripted", "--load-format", "dummy")
    small = ("--max-model-len", "1024", "--max-num-seqs", "4", "--dtype", "float32", "--enforce-eager")
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    command = [PROGRAM, "serve", tmp_path / "model", *options, *small]
    async with running(command, tmp_path, **offline) as server, httpx.AsyncClient(trust_env=False) as http:
        backend = backend_of("vllm", f"http://127.0.0.1:{port}/v1")
        limits = replace(backend.limits, request_timeout_s=START_S)
        patient = replace(backend, limits=limits, continues=ContinuationMode.CONTINUE_FINAL_MESSAGE)
        yield Starting(server=server, client=http_backend(patient, http, silence_s=60))


async def test_it_is_cold_while_it_loads_and_streams_counts_scores_and_continues_then(starting: Starting) -> None:
    for probes in (True, False):
        found = await diagnosed(starting.client, probes=probes)
        assert found is not None
        assert found.failure_class is FailureClass.COLD
    client = await starting.up()
    call = asking("Which ocean is the largest?", max_output_tokens=24)
    *pieces, end = await answer(client, call)
    assert isinstance(end, AnswerEnd)
    assert end.usage is not None
    assert every(isinstance(piece, TextPiece) for piece in pieces)
    assert (end.reason == "length") is (end.usage.output_tokens == 24)
    counting = client.backend.token_counting
    assert counting is not None
    counter = HttpPromptCounter(client, counting)
    assert await counter.count(call) == end.usage.input_tokens
    with_tools = replace(call, tools=ToolConfig(functions=(LOOK,)))
    assert await counter.count(with_tools) > end.usage.input_tokens
    scored = asking("Which ocean?", max_output_tokens=8, sampling=Sampling(parameters={"logprobs": True}))
    assert every(piece.logprobs for piece in await answer(client, scored) if isinstance(piece, TextPiece))
    *_, resumed = await answer(client, replace(call, partial=BEGINNING))
    assert isinstance(resumed, AnswerEnd)
    assert resumed.usage is not None
    assert resumed.usage.input_tokens == end.usage.input_tokens + len(BEGINNING)
