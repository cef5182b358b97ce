"""Records the calls of OpenRTC workers, once their agent has said so."""
