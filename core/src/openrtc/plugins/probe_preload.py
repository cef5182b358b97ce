"""Imported by the process from which each entry's is forked: livekit-agents, once for all of them."""

from openrtc.plugins.probe import import_livekit_first

import_livekit_first()
