"""LiveKit's text-based end-of-turn models as a resource that all calls of a worker share."""
