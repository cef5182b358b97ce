"""Imported by the process that job processes are forked from, before livekit-agents is."""

from openrtc.discovery.tolerance import tolerate_unreadable_metadata

tolerate_unreadable_metadata()
