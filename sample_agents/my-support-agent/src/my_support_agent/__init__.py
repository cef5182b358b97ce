"""A support desk: a plain LiveKit agent. Nothing of OpenRTC is imported here."""

from my_support_agent.agent import SupportAgent

__all__ = ["SupportAgent"]
