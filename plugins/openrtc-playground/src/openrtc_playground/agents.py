"""Which agents the page offers: those of the worker that runs here, else those that are installed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openrtc.catalog.rows import entry_row
from openrtc.discovery.discover import discover
from openrtc.discovery.entries import AGENTS_GROUP
from openrtc.dispatch.connection import LiveKitConnection
from openrtc.dispatch.local_server import is_same_server
from openrtc.model.status import State
from openrtc.observe.snapshots import read_snapshots, send_order
from openrtc.posix import has_unix_sockets
from openrtc.settings.config import Config

KEPT_SECONDS = 5.0
"""For how long it is not looked anew which agents are installed."""


class InstalledAgents:
    """The installed agents, which the page asks for again and again while a worker starts.

    Args:
        config: The settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._rows: Sequence[dict[str, Any]] = ()
        self._until = 0.0

    def list_rows(self) -> Sequence[dict[str, Any]]:
        """Return a row of each agent."""
        if time.monotonic() >= self._until:
            entries = discover(self._config)
            self._rows = [entry_row(entry, self._config) for entry in entries if entry.group == AGENTS_GROUP]
            self._until = time.monotonic() + KEPT_SECONDS
        return self._rows


def list_workers(connection: LiveKitConnection) -> list[dict[str, Any]]:
    """Return what the workers of this machine say of themselves that are registered on a server.

    Args:
        connection: The server.
    """
    found = read_snapshots(tidy=False) if has_unix_sockets() else []
    return [one for one in found if is_same_server(one.get("url", ""), connection.url)]


def list_agents(installed: InstalledAgents, connection: LiveKitConnection) -> dict[str, Any]:
    """Return the agents, and the worker that they run in.

    Args:
        installed: Those that are installed.
        connection: The LiveKit server.
    """
    workers = list_workers(connection)
    ready = [one for one in workers if one["state"] == "ready"]
    worker = (ready or workers or [{}])[0]
    rows = _ask_agents(worker) if worker else None
    if rows is None:
        rows = installed.list_rows()
    names = connection.names
    return {
        "server": connection.address,
        "own_name": names.own[0] if names.own else "",
        "routes": bool(names.own),
        "worker": {
            "found": bool(workers),
            "state": worker.get("state", ""),
            "session_host": worker.get("session_host", ""),
            "profile": worker.get("profile", ""),
        },
        "agents": [_describe(row, worker.get("paused", ())) for row in rows],
    }


def _ask_agents(worker: Mapping[str, Any]) -> Sequence[dict[str, Any]] | None:
    answer = send_order(worker["pid"], {"order": "agents"})
    rows: Sequence[dict[str, Any]] | None = answer.get("agents")
    return rows


def _describe(row: Mapping[str, Any], paused: Iterable[str]) -> dict[str, Any]:
    usable, lacks = row["state"] in (State.INSTALLED, State.READY), row["lacks"]
    reason, fix = row["reason"], row["fix"]
    if usable and lacks:
        reason, fix = f"it lacks {'; '.join(lack['what'] for lack in lacks)}", lacks[0]["fix"]
    elif row["name"] in paused:
        reason, fix = "it is paused", f"openrtc resume {row['name']}"
    return {
        "name": row["name"],
        "kind": row.get("shape", "agent"),
        "summary": row["summary"],
        "distribution": row["distribution"],
        "version": row["version"],
        "ready": usable and not reason,
        "reason": reason or "",
        "fix": fix or "",
        "members": row.get("members", []),
    }
