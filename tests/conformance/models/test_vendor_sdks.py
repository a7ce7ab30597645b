"""Do the SDKs of Replicate and Google take the stand-ins of their systems for the real ones?

boto3 and openai are dependencies of development: tests/standins/systems. These two have an environment of their own.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from clients.backends.credentials import HttpCall
from standins.systems.identities import SECRET, GoogleAccess
from tests.conformance.installing import VENDORS, vendor_kits
from tests.contracts.backends.scene import KeyRing
from tests.standins.systems.serving import served_systems

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]


async def told(program: Path, url: str, token: str) -> dict[str, Any]:
    """Return what a program with a vendor's SDK saw of a stand-in."""
    python = await asyncio.to_thread(vendor_kits)
    environment = {**os.environ, "URL": url, "TOKEN": token, "NO_PROXY": "127.0.0.1"}
    process = await asyncio.create_subprocess_exec(
        python, program, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_replicates_sdk_creates_reads_and_cancels_predictions() -> None:
    async with served_systems(rate=50) as systems:
        found = await told(VENDORS / "with_replicate.py", f"{systems.origin}/v1/systems/replicate", SECRET)
    assert found == {
        "began": "starting",
        "status": "succeeded",
        "text": "1 2 3 4 5",
        "metrics": ["input_token_count", "output_token_count", "predict_time"],
        "again": "succeeded",
        "run": "1 2 3",
        "canceled": "canceled",
        "wrong token": 401,
    }


async def test_googles_sdk_reads_whole_answers_streams_and_errors() -> None:
    async with served_systems() as systems:
        url = f"{systems.origin}/systems/vertex-managed"
        token = KeyRing().token(GoogleAccess(), HttpCall(method="POST", url=url))
        found = await told(VENDORS / "with_google_genai.py", url, token)
    assert found == {
        "text": "1 2 3 4 5",
        "tokens": 5,
        "reason": "STOP",
        "pieces": ["1", " 2", " 3", " 4", " 5"],
        "stream's tokens": 5,
        "cut": "MAX_TOKENS",
        "throttled": [429, "RESOURCE_EXHAUSTED"],
        "wrong token": [401],
    }
