"""`ends`: a supervisor's channel to a worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The ends of a channel, the supervisor's and the worker's."""
    ours, theirs = socket.socketpair()
    yield ours, theirs
    theirs.close()  # first, or its thread would log in a later test that the supervisor is gone
    ours.close()
