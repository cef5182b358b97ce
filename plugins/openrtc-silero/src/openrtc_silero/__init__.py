"""Silero voice activity detection as a resource that all calls of a worker share."""
