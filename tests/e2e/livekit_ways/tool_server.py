"""An MCP server with one tool, on standard input and output."""

from __future__ import annotations

from mcp.server import MCPServer

server = MCPServer("prices")


@server.tool()
def get_price(item: str) -> str:
    """Return what something costs."""
    return f"One {item} is two dollars."


if __name__ == "__main__":
    server.run()
