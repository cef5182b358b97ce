"""Finds the LiveKit server of this machine that `openrtc dev` works with, whose key and secret everybody knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from openrtc.dispatch.connection import LiveKitConnection, strip_credentials
from openrtc.errors import OpenRTCError
from openrtc.server.settings import LOOPBACK, PUBLIC_KEYS
from openrtc.settings.config import WorkerSettings


def find_connection(worker: WorkerSettings, *, needs_url: bool = True) -> LiveKitConnection:
    """Return the server that the settings name; where they leave something open, a local one that a worker here uses.

    The workers of this user on this machine say where their server is and whose well-known key they have, as
    `openrtc top` asks them; they hand out no secret.

    Args:
        worker: The settings.
        needs_url: Whether the server is to be reached; tokens are made without it.

    Raises:
        OpenRTCError: Something is missing, and no such server fits what is given; or several do.
    """
    if all((worker.url, worker.api_key, worker.api_secret)):
        return LiveKitConnection.of(worker)
    from openrtc.observe.snapshots import read_snapshots

    found = {one.url: one for one in list_fitting(worker, read_snapshots())}
    if len(found) > 1:
        fix = "choose one with --url"
        raise OpenRTCError(f"several local LiveKit servers run here: {', '.join(found)}", fix=fix)
    return LiveKitConnection.of(next(iter(found.values()), worker), needs_url=needs_url)


def list_fitting(worker: WorkerSettings, snapshots: Iterable[Mapping[str, Any]]) -> list[WorkerSettings]:
    """Return the settings with what is missing from each worker's that runs here, where it has a well-known key.

    Args:
        worker: The settings; a worker of another server than they name does not fit.
        snapshots: What the workers say of themselves.
    """
    completed = (_complete(worker, snapshot) for snapshot in snapshots)
    return [one for one in completed if one is not None]


def is_same_server(url: str, other: str) -> bool:
    """Whether two addresses are of one server."""
    return _normalize(url).rstrip("/") == _normalize(other).rstrip("/")


def _complete(worker: WorkerSettings, snapshot: Mapping[str, Any]) -> WorkerSettings | None:
    """Return the settings with what is missing from a worker's; None where they name another server."""
    pair = PUBLIC_KEYS.get(snapshot.get("public_key", ""))
    if pair is None:
        return None
    names = ("url", "api_key", "api_secret")
    there = dict(zip(names, (snapshot["url"], *pair), strict=True))
    given = {name: getattr(worker, name) for name in names if getattr(worker, name)}
    if any(_normalize(there[name]) != _normalize(text) for name, text in given.items()):
        return None
    return replace(worker, **there, agent_name=worker.agent_name or snapshot["agent_name"])


def _normalize(text: str) -> str:
    """Return an address so that two of one server are equal; a key or secret as it is."""
    if "://" not in text:
        return text
    return strip_credentials(text).partition("://")[2].replace("localhost", LOOPBACK)
