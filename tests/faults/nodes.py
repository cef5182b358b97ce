"""LiveKit nodes that a test may kill, and which agents a caller sees: the API goes on to list those of dead nodes."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import psutil

from e2e.callers import Caller
from openrtc.server import LocalServer
from openrtc.server.settings import find_free_port


def build_node(redis: str, log: Path) -> LocalServer:
    """Return a node, not started, that has the same address when it is started again.

    Args:
        redis: Host and port of the redis server that the nodes share.
        log: File for its log, from which `read_node_id` reads.
    """
    return LocalServer(port=find_free_port(socket.SOCK_STREAM), redis=redis, log_level="info", log_path=log)


def read_node_id(log: Path) -> str:
    """Return the id of the node that writes a log."""
    found = re.search(r'"nodeID": "(\w+)"', log.read_text())
    assert found, "a node names its id when it starts"
    return found[1]


def kill(server: LocalServer) -> None:
    """Kill the server's process as the kernel would."""
    assert server.pid is not None
    psutil.Process(server.pid).kill()
    server.stop()


def agents_seen(caller: Caller) -> set[str]:
    """Return the agents that a caller sees in the room now."""
    seen: set[str] = set()
    for event in caller.events():
        if event.get("kind") == "AGENT" and event["event"] == "participant_connected":
            seen.add(event["identity"])
        elif event["event"] == "participant_disconnected":
            seen.discard(event["identity"])
    return seen
