"""The installed distribution: its binary is there, is the right one, and OpenRTC starts it."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import openrtc_livekit_server
from openrtc import LocalServer, find_server


@pytest.mark.process
def test_the_binary_is_the_server_of_the_distributions_version() -> None:
    said = subprocess.check_output([openrtc_livekit_server.binary(), "--version"], text=True)
    assert said.strip() == f"livekit-server version {openrtc_livekit_server.version()}"


@pytest.mark.process
def test_openrtc_finds_and_starts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENRTC_LIVEKIT_SERVER", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = find_server()
    assert found
    assert found.resolve() == openrtc_livekit_server.binary()
    with LocalServer(port=0) as server:
        assert server.running


def test_a_lost_binary_is_told_with_its_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lost = metadata.PackagePath("../livekit-server")
    lost.dist = type("Dist", (), {"locate_file": lambda self, path: tmp_path / path})()
    monkeypatch.setattr(metadata, "files", lambda name: [lost])
    with pytest.raises(FileNotFoundError, match="has lost its binary .*livekit-server"):
        openrtc_livekit_server.binary()
