"""What happens before the host's own parts are loaded? The worker starts first: both load at the same time."""

import os
from dataclasses import dataclass

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
from devhost.http.cors_policy import Cors, cors_from_settings
from devhost.http.keys import Keys, keys_of_host, keys_path
from devhost.startup.options import Options
from devhost.supervisor.launcher import Command, Launched, launch


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """`lock` is the descriptor that keeps other hosts off the database."""

    options: Options
    settings: HostSettings
    command: Command
    lock: int
    worker: Launched
    cors: Cors
    keys: Keys


def begin(options: Options) -> Beginning:
    """Raises SettingsError or DatabaseInUseError, before anything runs."""
    app = options.app.resolve()
    settings = host_settings(read_json(app / "host.json"))
    command = Command(app=app, environment=worker_environment(app, local_values(app), os.environ))
    script = app / command.environment.get("PYTHON_SCRIPT_FILE_NAME", "function_app.py")
    if not script.is_file():
        raise SettingsError(f"there is no {script}: name the app's folder with --app")
    cors = cors_from_settings(local_section(app, "Host"))
    lock = take_lock(options.database)
    return Beginning(
        options=options,
        settings=settings,
        command=command,
        lock=lock,
        keys=keys_of_host(keys_path(options.database)),
        worker=launch(command),
        cors=cors,
    )
