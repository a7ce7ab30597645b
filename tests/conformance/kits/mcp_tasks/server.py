"""Serves tools that run as tasks, by FastMCP: `python server.py`. It counts what was built, and how often."""

import asyncio
import json
import socket

import uvicorn
from fastmcp import FastMCP
from fastmcp.utilities.tasks import TaskConfig
from fastmcp_tasks import TasksExtension

mcp = FastMCP("workshop")
mcp.add_extension(TasksExtension(url="memory://"))
begun: list[str] = []
built: list[str] = []


@mcp.tool(task=True)
async def build(what: str, seconds: float) -> str:
    """Build something, which takes a while."""
    begun.append(what)
    await asyncio.sleep(seconds)
    built.append(what)
    return f"built {what}"


@mcp.tool(task=TaskConfig(mode="required"))
async def break_down(what: str) -> str:
    """Fail."""
    raise ValueError(f"{what} cannot be built")


@mcp.tool
async def counted() -> dict[str, list[str]]:
    """Tell what was begun and built."""
    return {"begun": begun, "built": built}


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"ready": True, "port": listening.getsockname()[1]}), flush=True)  # noqa: T201 - tells its port
    config = uvicorn.Config(mcp.http_app(path="/mcp"), log_level="warning")
    asyncio.run(uvicorn.Server(config).serve([listening]))


if __name__ == "__main__":
    main()
