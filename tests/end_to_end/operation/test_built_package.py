"""Does the archive of `make package` run by itself: with its own libraries, and nothing of this machine?"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from copy import replace
from pathlib import Path

import openai
import pytest

from scripts.package.__main__ import RELEASE, Package, build
from scripts.package.ignore_rules import packaged
from scripts.package.libraries import FOLDER
from standins.cluster.local_cluster import LocalCluster
from standins.paths import ROOT
from tests.end_to_end.conftest import hasty
from tests.end_to_end.operation.packages import normalised, required
from tests.end_to_end.operation.test_package import FUNCTIONS, GUARD, forbidden_modules
from tests.scripts.package.test_libraries import UNCHECKED
from tests.test_composition import ENVIRONMENT

pytestmark = [pytest.mark.campaign, pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAM = """
import gc, json, sys
sys.path[:0] = json.loads(sys.argv[1])
import function_app
print(json.dumps([each.get_function_name() for each in function_app.app.get_functions()]))
print(json.dumps(sorted({getattr(module, "__file__", None) or "" for module in sys.modules.values()})))
print(json.dumps([gc.isenabled(), gc.get_freeze_count()]))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build(ROOT, tmp_path_factory.mktemp("output"))


@pytest.fixture(scope="module")
def unpacked(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wwwroot")
    with zipfile.ZipFile(package.archive) as archive:
        archive.extractall(folder)
    return folder


def test_it_holds_the_deployable_files_and_their_libraries_within_30_mb(package: Package, unpacked: Path) -> None:
    files = {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()}
    own = {path for path in files if FOLDER not in path.parents and path.parent.name != "__pycache__"}
    assert own == {*packaged(ROOT), Path(RELEASE)}
    assert (unpacked / RELEASE).read_text() == f"{package.release}\n"
    assert package.megabytes <= 30
    libraries = unpacked / FOLDER
    assert not (libraries / "botocore" / "data").exists()
    assert not (libraries / "tests").exists()


def test_its_list_names_what_the_requirements_pin_with_licences(package: Package) -> None:
    listed = json.loads(package.contents.read_text(encoding="utf-8"))["components"]
    assert {normalised(each["name"]) for each in listed} == required(ROOT)
    assert [each["name"] for each in listed if "unknown" in json.dumps(each["licenses"])] == []


def test_all_of_it_is_compiled_and_never_compared_with_its_source(unpacked: Path) -> None:
    tag = sys.implementation.cache_tag
    for source in unpacked.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        assert compiled.read_bytes()[4:8] == UNCHECKED, source


def test_it_is_the_same_each_time(package: Package, tmp_path: Path) -> None:
    assert build(ROOT, tmp_path).digest == package.digest


def test_a_bare_interpreter_loads_every_function_from_it_alone(unpacked: Path) -> None:
    """No site packages, no variables, and another folder: Azure's worker adds these two paths."""
    paths = json.dumps([str(unpacked), str(unpacked / FOLDER)])
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", "-c", PROGRAM, paths],
        env=ENVIRONMENT,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names, files, (is_collecting, lasting) = map(json.loads, done.stdout.splitlines())
    assert set(names) >= FUNCTIONS
    assert max(name.lower() for name in names) == "zz_unknown"
    strange = [file for file in files if "site-packages" in file and not file.startswith(str(unpacked))]
    assert strange == []
    assert is_collecting
    assert lasting > len(files)


@pytest.fixture(scope="module")
def cluster(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """The worker finds the package's libraries first, and none that they do not include."""
    guard = tmp_path_factory.mktemp("guard")
    (guard / "sitecustomize.py").write_text(GUARD)
    environment = {
        "PYTHONPATH": f"{guard}:{unpacked / FOLDER}",
        "FORBIDDEN_MODULES": ",".join(sorted(forbidden_modules())),
    }
    options = hasty(tmp_path_factory.mktemp("packaged"))
    with LocalCluster(replace(options, app=unpacked, environment={**options.environment, **environment})) as running:
        yield running


def test_under_the_local_host_it_answers_the_unmodified_sdk(cluster: LocalCluster) -> None:
    client = openai.OpenAI(base_url=f"{cluster.base_url}/v1", api_key=cluster.token())
    answer = client.responses.create(model="scripted", input="COUNT 5")
    assert answer.status == "completed"
    assert [word for word in answer.output_text.split() if word == "5"]
    with client.responses.stream(model="scripted", input="COUNT 5") as stream:
        assert stream.get_final_response().output_text == answer.output_text
