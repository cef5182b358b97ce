"""The kinds of packages that `openrtc new` makes, as data."""

from __future__ import annotations

from typing import NamedTuple


class PackageKind(NamedTuple):
    """A kind of package.

    Args:
        group: The entry point group, after ``openrtc.``.
        target: What the entry point names, in the package.
        summary: The package's summary.
        line: What it is, for a coding agent.
        imports_livekit: Whether its code does.
        tries: Commands that show what it does.
        file: The module in which its code is.
    """

    group: str
    target: str
    summary: str
    line: str
    imports_livekit: bool
    tries: tuple[str, ...]
    file: str = "__init__"


PACKAGE_KINDS = {
    "agent": PackageKind(
        group="agents",
        target="@module@:VoiceAgent",
        summary="A voice agent that says hello and tells the opening hours.",
        line="one voice agent, an ordinary `Agent` of livekit-agents, in `src/@module@/__init__.py`.",
        imports_livekit=True,
        tries=("openrtc console @name@ --offline", "openrtc dev --with-server"),
    ),
    "cast": PackageKind(
        group="agents",
        target="@module@:cast",
        summary="Two voice agents in one call: Tom the host, and Anna the expert.",
        line="several voice agents in one call, a `Cast` in `src/@module@/__init__.py`.",
        imports_livekit=True,
        tries=("openrtc console @name@ --offline", "openrtc dev --with-server"),
    ),
    "router": PackageKind(
        group="plugins",
        target="@module@",
        summary="A router that sends calls in German to one agent.",
        line="a router, the hook `openrtc_route` in `src/@module@/__init__.py`.",
        imports_livekit=False,
        tries=("""openrtc route --room room-1 --metadata '{"language": "de"}'""", "openrtc dev --with-server"),
    ),
    "plugin": PackageKind(
        group="plugins",
        target="@module@",
        summary="A plugin that writes a line for each call that has ended.",
        line="a plugin, hooks of OpenRTC in `src/@module@/__init__.py`.",
        imports_livekit=False,
        tries=("openrtc plugins", "openrtc dev --with-server"),
    ),
    "livekit": PackageKind(
        group="agents",
        target="@module@.agent:server",
        summary="A worker of livekit-agents that says hello and tells the opening hours.",
        line="a worker of livekit-agents, an `AgentServer` in `src/@module@/agent.py`, which also runs by itself.",
        imports_livekit=True,
        tries=("openrtc list-agents --load", "openrtc dev --with-server"),
        file="agent",
    ),
}
"""Each kind by its name."""
