"""A LiveKit server on this machine, on loopback addresses only: finding the binary, starting and stopping it."""

from openrtc.server.find import SERVER_VARIABLE, find_server
from openrtc.server.local import LocalServer
from openrtc.server.settings import DEV_API_KEY, DEV_API_SECRET

__all__ = ["DEV_API_KEY", "DEV_API_SECRET", "SERVER_VARIABLE", "LocalServer", "find_server"]
