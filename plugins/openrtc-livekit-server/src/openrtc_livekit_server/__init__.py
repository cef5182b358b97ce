"""The LiveKit server that this distribution carries; `openrtc.server.LocalServer` starts it."""

from openrtc_livekit_server.carried import binary, version

__all__ = ["binary", "version"]
