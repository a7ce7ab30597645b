"""What runs before the host's own modules are imported?

The worker process starts first, so that the app and the host load at the same time.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from devhost.app.settings import (
    HostSettings,
    SettingsError,
    host_settings,
    local_section,
    local_values,
    read_json,
    worker_environment,
)
from devhost.engine.storage.file_lock import take_lock
from devhost.http.cors_policy import CorsPolicy, cors_from_settings
from devhost.http.keys import HostKeys, create_ignored_folder, keys_path, load_or_create_keys, new_keys
from devhost.startup.options import StartOptions
from devhost.supervisor.launcher import LaunchedWorker, WorkerCommand, launch_worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """What the host takes over. `lock` is the descriptor that keeps other hosts off the database.

    Only a host that requires keys has a file of keys: another host shows its keys to every caller.
    """

    options: StartOptions
    settings: HostSettings
    command: WorkerCommand
    lock: int
    worker: LaunchedWorker
    cors: CorsPolicy
    keys: HostKeys
    key_file: Path | None


def bootstrap(options: StartOptions) -> Bootstrap:
    """Raises SettingsError or DatabaseInUseError before any process starts."""
    app = options.app.resolve()
    settings = host_settings(read_json(app / "host.json"))
    command = WorkerCommand(app=app, environment=worker_environment(app, local_values(app), os.environ))
    script = app / command.environment.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not script.is_file():
        raise SettingsError(f"{script} not found: set the app's folder with --app")
    cors = cors_from_settings(local_section(app, "Host"))
    create_ignored_folder(options.database.parent)
    lock = take_lock(options.database)
    key_file = keys_path(options.database) if options.auth else None
    return Bootstrap(
        options=options,
        settings=settings,
        command=command,
        lock=lock,
        keys=new_keys() if key_file is None else load_or_create_keys(key_file),
        key_file=key_file,
        worker=launch_worker(command),
        cors=cors,
    )
