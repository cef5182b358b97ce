"""Imported by the process that job processes are forked from, before livekit-agents is."""

from openrtc.discovery.hidden_livekit import show_livekit
from openrtc.discovery.tolerance import tolerate_unreadable_metadata

show_livekit()
tolerate_unreadable_metadata()
