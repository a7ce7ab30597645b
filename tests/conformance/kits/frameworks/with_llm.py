"""Does the command-line tool LLM work, with a model of its own configuration?"""

import asyncio
import base64
import json
import os
import sys
import tempfile
from pathlib import Path

from shared import ANSWERED, PIXEL, QUESTION, SEEN, Trip
from telling import MODEL, counted, holds, says, tell

FUNCTION = """
def weather(city: str) -> str:
    "Tell the weather."
    return "sunny in Rome"
"""
FOLDER = Path(tempfile.mkdtemp())
(FOLDER / "extra-openai-models.yaml").write_text(
    f"- model_id: ours\n  model_name: {MODEL}\n  api_base: {os.environ['OPENAI_BASE_URL']}\n"
    "  api_key_name: openai\n  supports_tools: true\n  supports_schema: true\n  vision: true\n"
)
ENVIRONMENT = {**os.environ, "LLM_USER_PATH": str(FOLDER)}
PROGRAM = (sys.executable, "-m", "llm", "-m", "ours", "--key", os.environ["OPENAI_API_KEY"])


async def started(*given: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        *PROGRAM, *given, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=ENVIRONMENT
    )


async def said(*given: str) -> str:
    child = await started(*given)
    out, complaint = await child.communicate()
    assert child.returncode == 0, complaint.decode()
    return out.decode().strip()


async def text() -> None:
    says(await said("COUNT 7"), counted(7))


async def tools() -> None:
    assert ANSWERED in await said("--functions", FUNCTION, "CALL weather")


async def structured_output() -> None:
    answer = await said("--schema", json.dumps(Trip.model_json_schema()), "Plan a trip.")
    holds(json.loads(answer), {"city": "Rome", "days": 1})


async def images() -> None:
    picture = FOLDER / "pixel.png"
    picture.write_bytes(base64.b64decode(PIXEL.partition(",")[2]))
    assert SEEN in await said("-a", str(picture), QUESTION)


async def stop() -> None:
    child = await started("COUNT 30")
    assert child.stdout is not None
    await child.stdout.read(1)
    child.terminate()
    await child.wait()
    says(await said("ECHO again"), "again")


tell(
    {
        "chat": {
            "text": text,
            "tools": tools,
            "structured output": structured_output,
            "images": images,
            "stop": stop,
        }
    }
)
