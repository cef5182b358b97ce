"""`openrtc playground`: how it begins, how it ends, and what it says where it cannot begin."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from openrtc.cli.main import main
from openrtc.server.settings import find_free_port
from openrtc_playground.app import STATIC

SERVER = {"LIVEKIT_URL": "ws://127.0.0.1:1", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}


@pytest.fixture(autouse=True)
def own_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", ["openrtc"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in SERVER:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def refusal(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["playground", "--no-open", *options]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1, said.err
    return said.err


def test_it_says_in_a_line_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys)
    assert said.startswith("openrtc: missing: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET (set it in the ")
    assert "LIVEKIT_API_SECRET" in refusal(capsys, "--url", "ws://127.0.0.1:1", "--api-key", "devkey")


def test_it_says_in_a_line_that_nobody_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in SERVER.items():
        monkeypatch.setenv(name, text)
    assert refusal(capsys).startswith("openrtc: cannot reach ws://127.0.0.1:1: ")


def test_it_says_in_a_line_that_its_port_is_taken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, taken_port: int
) -> None:
    for name, text in SERVER.items():
        monkeypatch.setenv(name, text)
    said = refusal(capsys, "--port", str(taken_port))
    assert said.startswith(f"openrtc: --port: it cannot listen on port {taken_port} of 127.0.0.1: ")
    assert main(["playground", "--port", "70000"]) == 2
    assert "'70000' is no port from 1 to 65535" in capsys.readouterr().err


@pytest.mark.process
def test_that_of_a_worker_ends_with_it_and_its_key_is_in_no_command_line(tmp_path: Path) -> None:
    port = find_free_port(socket.SOCK_STREAM)
    command = [sys.executable, "-m", "openrtc", "playground", "--of-worker", "--no-open", "--port", str(port)]
    with subprocess.Popen(
        command, env=os.environ | SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        address = process.stdout.readline().strip()
        assert address.startswith(f"http://127.0.0.1:{port}/?key=")
        assert urlopen(address, timeout=30).read() == (STATIC / "index.html").read_bytes()
        process.stdin.close()  # as the system does when the worker is killed
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
