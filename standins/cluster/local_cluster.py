"""How are the stand-ins, the models and the Functions host started on this machine, and stopped?

A LocalCluster runs them as child processes. It is a context manager, sync and async:

    with LocalCluster(ClusterOptions(data=folder, model="scripted", rate=0)) as cluster:
        httpx.get(f"{cluster.base_url}/v1/models", headers={"Authorization": f"Bearer {cluster.token()}"})
"""

import asyncio
import contextlib
import os
import tempfile
from http import HTTPStatus
from typing import Any, Self

import httpx

from standins.clock import now
from standins.cluster import run_record
from standins.cluster.app_settings import app_settings
from standins.cluster.local_settings import record_settings
from standins.cluster.process_specs import (
    IDENTITY,
    ClusterOptions,
    model_commands,
    on_port,
    service_commands,
)
from standins.cosmos import provisioning
from standins.issuer import entra_tokens
from standins.paths import ROOT
from standins.processes.child_process import ChildProcess, ProcessSpec, StartError, kill_pid, python_command, read_json
from standins.processes.http_server import HOST
from standins.processes.ports import free_port, is_free

READY_S = 60.0


class UnusableOptionError(Exception):
    """Another process listens on the port, or the folder cannot hold data; the message says what to choose instead."""


class LocalCluster:
    def __init__(self, options: ClusterOptions) -> None:
        self.options = options
        self.port = options.port or free_port()
        self.data = (options.data or ROOT / ".run" / str(self.port)).absolute()
        self.state = self.data / "devhost.json"
        self.services: dict[str, ChildProcess] = {}
        self.models: dict[str, ChildProcess] = {}
        self.ports: dict[str, int] = {}
        self.host: ChildProcess | None = None

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def issuer(self) -> entra_tokens.LocalIssuer:
        return entra_tokens.issuer_in(self.data)

    def token(self, user: str = "alice", tenant: str = "contoso") -> str:
        return self.issuer.user_token(now=now(), user=user, tenant=tenant)

    def app_token(self, app: str = "batch", tenant: str = "contoso") -> str:
        return self.issuer.app_token(now=now(), app=app, tenant=tenant)

    def model_url(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"

    @property
    def issuer_url(self) -> str:
        return self.model_url(IDENTITY)

    def log(self, name: str) -> str:
        """Reads the log of a child process: "devhost", a service or a model."""
        return (self.data / "logs" / f"{name}.log").read_text(errors="replace")

    def start(self) -> Self:
        if not is_free(self.port):
            raise UnusableOptionError(
                f"port {self.port} is in use; choose another one, for example PORT={self.port + 1}"
            )
        self.prepare_folder()
        try:
            self.start_services()
            self.start_all(self.models, self.model_commands())
            if self.options.host:
                self.start_host()
        except BaseException:
            self.stop()
            raise
        return self

    def prepare_folder(self) -> None:
        """Make the folders of this cluster; raises UnusableOptionError where files cannot be created in them."""
        try:
            (self.data / "logs").mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.data):
                pass
        except OSError as error:
            problem = f"DATA={self.data} cannot be used as a folder: {error.strerror}"
            raise UnusableOptionError(f"{problem}; choose another one, for example DATA=.run/{self.port}") from None

    def start_services(self) -> None:
        cosmos = self.options.store == provisioning.COSMOS
        if cosmos:
            self.options.report("preparing the local Cosmos DB")
            provisioning.prepare()
        self.start_all(self.services, service_commands(self.options, self.data))
        if cosmos:
            provisioning.create_containers(self.data, self.ports[provisioning.COSMOS])

    def store_settings(self) -> dict[str, str]:
        if self.options.store == provisioning.COSMOS:
            return provisioning.settings(self.data, self.ports[provisioning.COSMOS])
        return {"GANGLION_STORE": self.options.store}

    def model_commands(self) -> dict[str, list[str]]:
        return model_commands(self.options, self.data, self.issuer_url)

    def start_all(self, children: dict[str, ChildProcess], commands: dict[str, list[str]]) -> None:
        for name, command in commands.items():
            children[name] = self.start_child(name, command)
        for name, child in children.items():
            self.options.report(f"waiting for {name}")
            self.ports[name] = child.wait_for(child.ready_port, READY_S)
        self.write_record()

    def start_child(self, name: str, command: list[str]) -> ChildProcess:
        log = self.data / "logs" / f"{name}.log"
        return ChildProcess(ProcessSpec(name=name, command=command, environment=os.environ, log=log, folder=ROOT))

    def start_host(self) -> None:
        self.state.unlink(missing_ok=True)
        arguments = [
            "--app",
            self.options.app,
            "--port",
            self.port,
            "--db",
            self.data / "hub.db",
            "--state",
            self.state,
        ]
        settings = {**self.environment(), **self.options.environment}
        record_settings(self.data, settings)
        environment = {**os.environ, **settings}
        log = self.data / "logs" / "devhost.log"
        command = python_command("standins.processes.parent_watch", "devhost", "start", *arguments)
        self.options.report("waiting for the Functions host")
        self.host = ChildProcess(
            ProcessSpec(name="devhost", command=command, environment=environment, log=log, folder=ROOT)
        )
        self.host.wait_for(self.ready_worker, READY_S)
        self.write_record()
        if self.is_misconfigured():
            raise self.host.start_error("runs, but the settings of the app are wrong")

    def is_misconfigured(self) -> bool:
        """Tell whether the app has no /readyz of its own and answers it with an error like every other path."""
        answer = httpx.get(f"{self.base_url}/readyz", timeout=READY_S)
        return answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "error" in answer.json()

    def environment(self) -> dict[str, str]:
        """Gives the settings with which the app finds the processes of this cluster."""
        return {**self.store_settings(), **app_settings(self.data, self.issuer, self.ports, self.models)}

    def write_record(self) -> None:
        started = {**self.services, **self.models}.items()
        services = {name: run_record.ServiceRecord(port=self.ports[name], pid=child.pid) for name, child in started}
        run_record.write(
            run_record.RunRecord(
                port=self.port,
                data=self.data,
                model=self.options.model,
                pid=os.getpid(),
                services=services,
                host_pid=self.host.pid if self.host else None,
                state=self.state if self.host else None,
            )
        )

    def stop(self) -> None:
        """Stops all child processes in reverse order."""
        if self.host:
            self.host.stop()
        for child in (*reversed(self.models.values()), *reversed(self.services.values())):
            child.stop()
        run_record.forget(self.port)

    def host_state(self) -> dict[str, Any]:
        return read_json(self.state) or {}

    def ready_worker(self, other_than: int | None = None) -> int | None:
        """Gives the pid of the serving worker; ignores the state file of a host or worker that no longer runs."""
        state = self.host_state()
        is_current = self.host is not None and state.get("host_pid") == self.host.pid
        worker = int(state.get("worker_pid") or 0)
        serves = is_current and state.get("ready") and worker not in {0, other_than}
        return worker if serves and run_record.is_alive(worker) else None

    @property
    def worker_pid(self) -> int:
        worker = self.ready_worker()
        if worker is None:
            raise StartError("the Functions host has no running worker")
        return worker

    def kill_worker(self) -> int:
        """Kills the worker with SIGKILL, like a crash, and gives its pid; the host starts another one."""
        worker = self.worker_pid
        kill_pid(worker)
        return worker

    def wait_worker(self, other_than: int | None = None, seconds: float = READY_S) -> int:
        """Waits for a serving worker other than `other_than`, and gives its pid."""
        return self.running_host().wait_for(lambda: self.ready_worker(other_than), seconds)

    def kill_host(self) -> None:
        self.running_host().kill()

    def kill_host_and_worker(self) -> None:
        """Kills host and worker with SIGKILL, the host first so that it starts no other worker."""
        worker = self.worker_pid
        self.kill_host()
        with contextlib.suppress(ProcessLookupError):
            kill_pid(worker)

    def restart_host(self) -> None:
        """Starts the host again on the same port and data, after kill_host or a clean stop."""
        if self.host:
            self.host.stop()
        self.start_host()

    def running_host(self) -> ChildProcess:
        if self.host is None:
            raise StartError("this cluster runs without a Functions host")
        return self.host

    def kill_model(self, name: str) -> None:
        self.models[name].kill()

    def restart_model(self, name: str) -> None:
        """Starts a model again on the same port, so that no other process needs a new address."""
        self.restart(name, self.models, self.model_commands())

    def kill_service(self, name: str) -> None:
        self.services[name].kill()

    def restart_service(self, name: str) -> None:
        """Starts a cloud's stand-in again on the same port."""
        self.restart(name, self.services, service_commands(self.options, self.data))

    def restart(self, name: str, children: dict[str, ChildProcess], commands: dict[str, list[str]]) -> None:
        children[name].stop()
        children[name] = self.start_child(name, on_port(commands[name], self.ports[name]))
        children[name].wait_for(children[name].ready_port, READY_S)
        self.write_record()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, *_error: object) -> None:
        await asyncio.to_thread(self.stop)
