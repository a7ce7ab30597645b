"""Do real servers of prompts, MLServer and Triton, show while they load what the product takes for a cold start?"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from clients.backends.http_backend import HttpBackend
from clients.backends.port import AnswerEnd, BackendError, TextPiece
from domain.fleet.failure_classes import FailureClass, FailureKind
from standins.processes.ports import free_port
from tests.checks import every
from tests.clients.backends.model_server import text_of
from tests.conformance.installing import MODEL_SERVERS, mlserver_kit, triton_kit
from tests.conformance.models.model_servers import GUARD_S, LOOK_S, answer, diagnosed, running, up
from tests.contracts.backends.scene import TEMPLATE, asking, backend_of
from tests.fakes.backends import http_backend

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

STREAMED = 'streams = true\nprompt = { template = "chatml", path = "infer_stream" }'
"""What the entry of a backend says whose server streams by `infer_stream`, like MLServer since version 1.6."""


@asynccontextmanager
async def client_of(system: str, port: int, model: str = "m", *, prompt: str = TEMPLATE) -> AsyncGenerator[HttpBackend]:
    backend = backend_of(system, f"http://127.0.0.1:{port}/v2/models/{model}", prompt=prompt)
    async with httpx.AsyncClient(trust_env=False) as http:
        yield http_backend(backend, http, silence_s=60)


async def both_say(client: HttpBackend, *words: str) -> None:
    """Wait until a probe and a call are diagnosed as cold, with these words."""
    async with asyncio.timeout(GUARD_S):
        while True:
            found = [await diagnosed(client, probes=probes) for probes in (True, False)]
            assert every(each and each.failure_class is FailureClass.COLD for each in found), found
            if [each.reason for each in found if each] == [*words]:
                return
            await asyncio.sleep(LOOK_S)


async def test_mlserver_is_cold_while_it_loads_and_answers_then(tmp_path: Path) -> None:
    port, *others = (free_port() for _ in range(3))
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": others[0], "metrics_port": others[1]}
    shutil.copy(MODEL_SERVERS / "mlserver_model.py", tmp_path)
    write(tmp_path / "settings.json", {**settings, "parallel_workers": 0, "gzip_enabled": False})
    write(tmp_path / "model-settings.json", {"name": "m", "implementation": "mlserver_model.CountingModel"})
    program = await asyncio.to_thread(mlserver_kit)
    async with running([program, "start", "."], tmp_path) as server, client_of("kserve-infer", port) as client:
        await both_say(client, "status 400: it is still starting", "status 400: the server is loading its model")
        (tmp_path / "go").touch()
        await up(client, server)
        assert await answer(client) == [TextPiece(text="1 2 3 4 5"), AnswerEnd(reason="stop", usage=None)]
        async with client_of("kserve-infer", port, prompt=STREAMED) as streamed:
            *pieces, end = await answer(streamed)
            assert pieces == [TextPiece(text=text) for text in ("1", " 2", " 3", " 4", " 5")]
            assert end == AnswerEnd(reason="stop", usage=None)
        async with client_of("kserve-infer", port, "another") as other:
            found = await diagnosed(other, probes=False)
        assert found is not None
        assert (found.failure_class, found.reason[:10]) == (FailureClass.BROKEN, "status 404")


def write(file: Path, body: Mapping[str, object]) -> None:
    file.write_text(json.dumps(body), encoding="utf-8")


async def test_triton_is_cold_while_it_loads_and_streams_then(tmp_path: Path) -> None:
    python = await asyncio.to_thread(triton_kit)
    if python is None:
        pytest.skip("not run: this machine has no Python 3.12 for the models of Triton")
    port, command, variables = free_port(), *triton(python, tmp_path)
    options = (f"--http-port={port}", "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false")
    async with (
        running([*command, *options, "--model-control-mode=explicit"], tmp_path, **variables) as server,
        client_of("triton-generate", port) as client,
        httpx.AsyncClient(trust_env=False, timeout=GUARD_S) as http,
    ):
        await answers_at_all(http, port)
        loading = asyncio.create_task(http.post(f"http://127.0.0.1:{port}/v2/repository/models/m/load"))
        await loads(client)
        await both_say(client, "status 400: it is still starting", "status 404: the server is loading its model")
        (tmp_path / "go").touch()
        assert (await loading).status_code == 200
        await up(client, server)
        pieces = await answer(client)
        assert (text_of(pieces), len(pieces)) == ("1 2 3 4 5", 6)
        assert pieces[-1] == AnswerEnd(reason="stop", usage=None)
        with pytest.raises(BackendError) as caught:
            async with client.stream(asking("something else")) as stream:
                await anext(stream)
        assert (caught.value.failure.kind, caught.value.failure.status) == (FailureKind.STATUS, 400)


def triton(python: Path, folder: Path) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    """Write a model repository, and return the command that serves it, with its variables."""
    model = folder / "models" / "m"
    (model / "1").mkdir(parents=True)
    shutil.copy(MODEL_SERVERS / "triton_config.pbtxt", model / "config.pbtxt")
    shutil.copy(MODEL_SERVERS / "triton_model.py", model / "1" / "model.py")
    packages = next((python.parents[1] / "lib").glob("python3.*")) / "site-packages"
    server = packages / "pytriton" / "tritonserver"
    backends = folder / "backends"
    shutil.copytree(server / "backends", backends)
    stub = server / "python_backend_stubs" / "3.12" / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    libraries = subprocess.check_output(  # noqa: S603 - a command of ours
        [python, "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"], text=True
    ).strip()
    variables = {
        "LD_LIBRARY_PATH": f"{libraries}:{packages / 'nvidia_pytriton.libs'}",
        "PYTHONPATH": str(packages),
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }
    program = server / "bin" / "tritonserver"
    return [program, f"--model-repository={folder / 'models'}", f"--backend-directory={backends}"], variables


async def answers_at_all(http: httpx.AsyncClient, port: int) -> None:
    async with asyncio.timeout(GUARD_S):
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/v2/health/live")
            except httpx.TransportError:
                await asyncio.sleep(LOOK_S)
            else:
                return


async def loads(client: HttpBackend) -> None:
    """Wait until the server knows the model, which it does not before it loads it."""
    async with asyncio.timeout(GUARD_S):
        while True:
            found = await diagnosed(client, probes=False)
            if found and found.failure_class is FailureClass.COLD:
                return
            await asyncio.sleep(LOOK_S)
