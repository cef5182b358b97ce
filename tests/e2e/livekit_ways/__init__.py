"""Agents written in the ways of LiveKit's public examples, and calls to them that end alike in every host."""
