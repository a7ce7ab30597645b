"""Which libraries does the package contain, in which version and under which licence?

The list is a CycloneDX document (https://cyclonedx.org/docs/1.6/json), without times and random ids.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

CLASSIFIER: Final = "License :: OSI Approved :: "
LONGEST_NAME: Final = 64
"""A longer text is no name of a licence but the licence itself."""


def contents_list(libraries: Path, *, name: str, version: str, python: str) -> Mapping[str, Any]:
    found = sorted(distributions(path=[str(libraries)]), key=lambda each: each.name.lower())
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": name, "version": version, "bom-ref": name},
            "properties": [{"name": "python", "value": python}],
        },
        "components": [component(each) for each in found],
    }


def component(library: Distribution) -> Mapping[str, Any]:
    normalised = re.sub(r"[-_.]+", "-", library.name).lower()
    address = f"pkg:pypi/{normalised}@{library.version}"
    return {
        "type": "library",
        "name": library.name,
        "version": library.version,
        "purl": address,
        "bom-ref": address,
        "licenses": [licence(library)],
    }


def licence(library: Distribution) -> Mapping[str, Any]:
    expression = library.metadata.get("License-Expression")
    if expression:
        return {"expression": expression}
    return {"license": {"name": next(licence_names(library), "unknown")}}


def licence_names(library: Distribution) -> Iterator[str]:
    classifiers = library.metadata.get_all("Classifier") or []
    approved = [each.removeprefix(CLASSIFIER) for each in classifiers if each.startswith(CLASSIFIER)]
    if approved:
        yield " or ".join(approved)
    text = (library.metadata.get("License") or "").strip()
    if text and len(text) <= LONGEST_NAME:
        yield text
