"""Every way to send agents to rooms: dispatches, tokens, SIP rules; by the LiveKit server's API, without a worker."""
