"""Imported by the process that job processes are forked from, before livekit-agents is.

They share what is imported here, and have the code that was there when the worker began: an upgrade of OpenRTC or
livekit-agents under it changes nothing for them.
"""

import importlib

from openrtc.discovery.hidden_livekit import show_livekit
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
from openrtc.worker.own_versions import read_own_versions

show_livekit()
tolerate_unreadable_metadata()

VERSIONS = read_own_versions()
"""What is about to be imported."""

importlib.import_module("openrtc.worker.entrypoint")  # not before livekit can be seen
importlib.import_module("openrtc.worker.preload_plan").import_public_names()
importlib.import_module("openrtc.upstream.warm_up").read_sources()
