"""A page on this machine in which agents are talked to, and seen at work: ``openrtc playground``."""
