"""Which libraries, versions and licences does the list of a package name?"""

import json
from pathlib import Path

import pytest

from scripts.package.contents_list import contents_list

LICENCES = [
    ("License-Expression: MIT", {"expression": "MIT"}),
    (
        "Classifier: License :: OSI Approved :: BSD License",
        {"license": {"name": "BSD License"}},
    ),
    ("License: Apache 2.0", {"license": {"name": "Apache 2.0"}}),
    ("License: " + "x" * 65, {"license": {"name": "unknown"}}),
    ("Summary: none", {"license": {"name": "unknown"}}),
]


@pytest.mark.parametrize(("line", "licence"), LICENCES)
def test_the_list_names_each_library_with_its_licence(tmp_path: Path, line: str, licence: dict[str, object]) -> None:
    folder = tmp_path / "Some_Library-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\nName: Some_Library\nVersion: 1.0\n{line}\n")
    listed = contents_list(tmp_path, name="app", version="1.2.3+abc", python="3.13")
    assert listed["metadata"]["component"]["version"] == "1.2.3+abc"
    (library,) = listed["components"]
    assert (library["purl"], library["licenses"]) == ("pkg:pypi/some-library@1.0", [licence])
    assert json.dumps(listed) == json.dumps(contents_list(tmp_path, name="app", version="1.2.3+abc", python="3.13"))
