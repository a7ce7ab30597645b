"""Which options start the MCP server? `python -m standins.mcp_tools --port 0 --era old`."""

import argparse
import asyncio
import socket

import uvicorn

from standins.mcp_tools.server import McpShop
from standins.processes.http_server import HOST, print_ready
from standins.processes.parent_watch import end_with_stdin


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m standins.mcp_tools", description="a shop as an MCP server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument(
        "--era",
        choices=("new", "old"),
        default="new",
        help="old: the protocol with sessions, up to revision 2025-11-25; new: without",
    )
    options = parser.parse_args()
    end_with_stdin()
    asyncio.run(serve(McpShop(is_old=options.era == "old"), options.port))


async def serve(shop: McpShop, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    listening = socket.create_server((HOST, port))
    print_ready(listening.getsockname()[1])
    await uvicorn.Server(uvicorn.Config(shop.application(), log_level="critical")).serve([listening])


if __name__ == "__main__":
    main()
