"""Which processes does a cluster start, for each choice of model, store and GPU?"""

from pathlib import Path
from typing import Any

import pytest

from standins.cluster.process_specs import ClusterOptions, model_commands, on_port, service_commands

DATA = Path("/data")
ISSUER = "http://127.0.0.1:1"
SERVICES = {"identity", "private-data", "shop"}


@pytest.mark.parametrize(("store", "names"), [("sqlite", SERVICES), ("cosmos", SERVICES | {"cosmos"})])
def test_the_local_cosmos_db_starts_where_it_is_the_store(store: Any, names: set[str]) -> None:
    assert set(service_commands(ClusterOptions(store=store), DATA)) == names


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (ClusterOptions(), ["scripted", "scripted-afresh"]),
        (ClusterOptions(model="real"), ["laptop-small", "laptop-large"]),
        (ClusterOptions(cold="5"), ["scripted-gpu"]),
        (ClusterOptions(cold="5", model="real"), ["laptop-gpu"]),
        (ClusterOptions(cold="5", warm_models=True), ["scripted", "scripted-afresh", "scripted-gpu"]),
        (ClusterOptions(systems=True), ["scripted", "scripted-afresh", "systems"]),
    ],
)
def test_each_choice_has_its_models(options: ClusterOptions, names: list[str]) -> None:
    assert list(model_commands(options, DATA, ISSUER)) == names


def test_a_gpu_starts_its_model_behind_the_access_check() -> None:
    options = ClusterOptions(cold="3-9", rate=7.0, gpu=("--tail", 10))
    command = model_commands(options, DATA, ISSUER)["scripted-gpu"]
    own, model = command[: command.index("--")], command[command.index("--") + 1 :]
    assert own[own.index("--start") + 1] == "3-9"
    assert own[own.index("--keys") + 1] == f"{ISSUER}/oauth2/v3/certs"
    assert own[own.index("--tail") + 1] == "10"
    assert model[2:] == ["standins.scripted", "--rate", "7.0", "--first-token-s", "0.0"]


def test_a_port_is_one_of_the_stand_ins_own_options() -> None:
    assert on_port(["a", "--x"], 7) == ["a", "--x", "--port", "7"]
    assert on_port(["a", "--", "b", "--port", "1"], 7) == ["a", "--port", "7", "--", "b", "--port", "1"]
