"""Does `func start` find the processes of a cluster, and is the file of a developer put back?"""

import json
import stat
from pathlib import Path

import pytest

from standins.cluster.local_settings import (
    APP_SETTINGS,
    SAMPLE,
    SettingsFileError,
    read_document,
    record_settings,
    settings_text,
    written_settings,
)

SETTINGS = {"GANGLION_DATA": "/data"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "local.settings.json"


def values(text: str) -> dict[str, str]:
    return json.loads(text)["Values"]


def test_the_clusters_settings_win_over_the_files_and_these_over_the_sample(path: Path) -> None:
    sample = read_document(SAMPLE)["Values"]
    name = next(iter(sample))
    path.write_text(json.dumps({"Values": {name: "own", "GANGLION_DATA": "other", "MINE": "1"}, "Host": {"CORS": "*"}}))
    found = values(settings_text(path, SETTINGS))
    assert (found[name], found["GANGLION_DATA"], found["MINE"]) == ("own", "/data", "1")
    assert set(sample) <= set(found)
    assert json.loads(settings_text(path, SETTINGS))["Host"] == {"CORS": "*"}


def test_a_file_that_was_not_there_is_gone_afterwards_and_was_for_its_owner_alone(path: Path) -> None:
    with written_settings(path, SETTINGS):
        assert values(path.read_text())["GANGLION_DATA"] == "/data"
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    assert not path.exists()


def test_a_file_that_was_there_is_put_back_byte_for_byte(path: Path) -> None:
    before = b'{ "Values" : {"A": "1"} }\r\n'
    path.write_bytes(before)
    with pytest.raises(KeyError), written_settings(path, SETTINGS):
        raise KeyError
    assert path.read_bytes() == before


@pytest.mark.parametrize("changed", ['{"Values": {"A": "2"}}', None])
def test_a_file_that_was_changed_or_removed_meanwhile_stays_so(path: Path, changed: str | None) -> None:
    path.write_text('{"Values": {"A": "1"}}')
    with written_settings(path, SETTINGS):
        if changed:
            path.write_text(changed)
        else:
            path.unlink()
    assert (path.read_text() if path.exists() else None) == changed


@pytest.mark.parametrize("text", ["", "[]", '{"Values": []}', "{"])
def test_a_file_that_cannot_be_read_is_named_and_left(path: Path, text: str) -> None:
    path.write_text(text)
    with (
        pytest.raises(SettingsFileError, match=r"local\.settings\.json is not a JSON object with Values"),
        written_settings(path, SETTINGS),
    ):
        pass
    assert path.read_text() == text


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsFileError, match="cannot be written: No such file or directory"),
        written_settings(tmp_path / "none" / "s.json", SETTINGS),
    ):
        pass


def test_the_settings_of_the_application_are_recorded_for_the_doctor(tmp_path: Path) -> None:
    record_settings(tmp_path, SETTINGS)
    recorded = tmp_path / APP_SETTINGS
    assert values(recorded.read_text())["GANGLION_DATA"] == "/data"
    assert stat.S_IMODE(recorded.stat().st_mode) & 0o077 == 0
