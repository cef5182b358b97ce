"""Events of the native library are routed on the real server: audio, video, data, RPC, text and files."""

from __future__ import annotations

from e2e.child import environment
from e2e.worker_template import worker_template
from openrtc.server import LocalServer


def test_everything_that_a_room_carries_reaches_that_room_alone(server: LocalServer) -> None:
    command = ["-m", "e2e.routed_rooms", server.url, server.api_key, server.api_secret]
    done = worker_template().run(command, environ=environment())
    assert done.returncode == 0, done.stderr[-4000:]
    # The native library may say as much of an answer that comes when its room is left.
    wrong = [line for line in done.stderr.splitlines() if "error" in line.lower() and not line.startswith("livekit_")]
    assert not wrong, done.stderr[-4000:]
