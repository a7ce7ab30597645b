"""What does a large input add to a turn: an image of a megabyte, and thousands of items?

`python -m benches.inputs [TURNS]`: starts everything on this machine with the scripted model. Figures in milliseconds.
"""

import asyncio
import base64
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from benches.command_line import chosen_number, counted
from benches.tables import print_table
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT

TURNS = 15
IMAGE_BYTES = 1_000_000
FEW, MANY = 500, 10_000
WINDOW = "context_tokens = 32768"


def wide_fleet(folder: Path) -> str:
    """Write the shipped fleet with a window that has room for all items; return its path."""
    path = folder / "fleet.toml"
    path.write_text((ROOT / "fleet.toml").read_text("utf-8").replace(WINDOW, "context_tokens = 1000000"), "utf-8")
    return str(path)


def picture(size: int) -> list[dict[str, Any]]:
    """Return a message with a short text and, where it has a size, an image of so many bytes."""
    image = base64.b64encode(bytes(size)).decode()
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": "What do you see?"}]
    seen = [{"type": "input_image", "image_url": f"data:image/png;base64,{image}"}] if size else []
    return [{"role": "user", "content": [*parts, *seen]}]


async def answer_ms(http: httpx.AsyncClient, size: int) -> float:
    """Return how long a whole turn takes, from the first byte of the request to the last one of the answer."""
    body = json.dumps({"model": "scripted@scripted", "input": picture(size)}).encode()
    started = time.perf_counter()
    answer = await http.post("responses", content=body)
    taken = (time.perf_counter() - started) * 1000
    assert answer.json()["status"] == "completed", answer.text[:500]
    return taken


async def item_ms(http: httpx.AsyncClient, count: int) -> float:
    """Return how long the admission of a turn takes for each of its items."""
    items = [{"role": "user", "content": f"item {number}"} for number in range(count)]
    started = time.perf_counter()
    answer = await http.post("responses", json={"model": "scripted@scripted", "input": items, "background": True})
    taken = (time.perf_counter() - started) * 1000 / count
    made = answer.raise_for_status().json()["id"]
    ended = await http.get(f"responses/{made}?stream=true")
    assert '"status":"completed"' in ended.text, ended.text[-500:]
    return taken


async def measure(turns: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"GANGLION_FLEET": wide_fleet(Path(folder)), "GANGLION_TELEMETRY": "none"}
        options = ClusterOptions(data=Path(folder) / "data", model="scripted", rate=0, environment=settings)
        async with LocalCluster(options) as cluster:
            headers = {"authorization": f"Bearer {cluster.token()}"}
            async with httpx.AsyncClient(base_url=f"{cluster.base_url}/v1", headers=headers, timeout=120) as http:
                await compare(http, turns)


async def compare(http: httpx.AsyncClient, turns: int) -> None:
    without, image = list[float](), list[float]()
    for _ in counted(range(turns), "turns"):
        without.append(await answer_ms(http, 0))
        image.append(await answer_ms(http, IMAGE_BYTES))
    few, many = list[float](), list[float]()
    for _ in range(max(3, turns // 5)):
        few.append(await item_ms(http, FEW))
        many.append(await item_ms(http, MANY))
    plain, seen, one, other = (statistics.median(each) for each in (without, image, few, many))
    rows = [
        ("a turn, without and with an image of 1 MB", f"{plain:.1f}", f"{seen:.1f}", f"{seen - plain:.1f} ms more"),
        (f"admission of an item, of {FEW} and of {MANY:,}", f"{one:.3f}", f"{other:.3f}", f"{other / one:.2f} times"),
    ]
    print_table(("ms", "small input", "large input", "difference"), rows)


def main() -> None:
    asyncio.run(measure(chosen_number(TURNS, "turns")))


if __name__ == "__main__":
    main()
