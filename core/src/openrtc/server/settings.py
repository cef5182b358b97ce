"""Settings of a local LiveKit server, which listens on loopback addresses and nowhere else."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping

from openrtc.child_environment import drop_secrets

LOOPBACK = "127.0.0.1"

DEV_API_KEY = "devkey"
"""API key of a local server."""

DEV_API_SECRET = "openrtc-local-dev-secret-known-to-all"
"""API secret of a local server. It is public, so not a secret at all: use it on loopback addresses only."""

LIVEKIT_DEV_KEY, LIVEKIT_DEV_SECRET = "devkey", "secret"
"""The credentials of ``livekit-server --dev``; they are public, too."""

PUBLIC_KEYS = {
    "openrtc": (DEV_API_KEY, DEV_API_SECRET),
    "livekit-server --dev": (LIVEKIT_DEV_KEY, LIVEKIT_DEV_SECRET),
}
"""API keys and secrets that everybody knows, by whose they are."""

_CONFIG_VARIABLE = "LIVEKIT_CONFIG"
_DISCARD_PORT = 9  # of RFC 863: nothing listens there
_SERVER_VARIABLES = {"NODE_IP", "UDP_PORT", "REDIS_HOST", "REDIS_PASSWORD"}


def build_settings(
    *, port: int, udp_port: int, keys: Mapping[str, str], log_level: str, redis: str = ""
) -> dict[str, object]:
    """Return the server's settings.

    Args:
        port: TCP port for HTTP and signalling.
        udp_port: UDP port for all media.
        keys: API secrets by API key.
        log_level: The server's least level: ``debug``, ``info``, ``warn`` or ``error``.
        redis: Host and port of a redis server, which SIP needs; empty for none.
    """
    return {
        "port": port,
        "bind_addresses": [LOOPBACK],
        "rtc": {
            "tcp_port": 0,  # the default one listens on every interface
            "udp_port": udp_port,
            "use_external_ip": False,
            # Nobody answers there. By default clients ask STUN servers on the internet, whose names each call looks up.
            "stun_servers": [f"{LOOPBACK}:{_DISCARD_PORT}"],
            "enable_loopback_candidate": True,
            "interfaces": {"includes": [_find_loopback_interface()]},
        },
        "keys": dict(keys),
        "logging": {"level": log_level, "pion_level": "error"},
        **({"redis": {"address": redis}} if redis else {}),
    }


def build_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """Return the environment to start the server in: this process's own, with the settings as the only ones it reads.

    JSON is valid YAML. A variable, unlike an argument or a file, shows no secret to other users and leaves nothing
    behind.
    """
    own = {k: v for k, v in drop_secrets().items() if not k.startswith("LIVEKIT_") and k not in _SERVER_VARIABLES}
    return own | {_CONFIG_VARIABLE: json.dumps(settings)}


def find_public_key(api_key: str, api_secret: str) -> str:
    """Return whose an API key and secret are that everybody knows, a name of `PUBLIC_KEYS`; empty for all others."""
    return next((whose for whose, pair in PUBLIC_KEYS.items() if pair == (api_key, api_secret)), "")


def find_free_port(kind: socket.SocketKind) -> int:
    """Return a loopback port for TCP (``SOCK_STREAM``) or UDP (``SOCK_DGRAM``) that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_port_free(port: int) -> bool:
    """Return whether something could listen on this TCP port of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # as the server does, so that connections that have just ended do not hold the port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _find_loopback_interface() -> str:
    return next((name for _, name in socket.if_nameindex() if name.lower().startswith("lo")), "lo")
