"""What makes calls cheaper with livekit-agents' own behaviour: one module for each name of `--speedups`."""
