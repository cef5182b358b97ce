"""End to end: the real server, workers and callers, each in processes of their own, and what was heard, in numbers."""
