"""The local LiveKit server: found, started on loopback addresses, stopped without a trace."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from openrtc.errors import OpenRTCError
from openrtc.server import DEV_API_SECRET, SERVER_VARIABLE, LocalServer, find_server
from openrtc.server.find import find_build_cache
from openrtc.server.settings import build_environment, find_free_port


@pytest.fixture(scope="module")
def binary() -> Path:
    found = find_server()
    assert found, f"these tests need livekit-server: install openrtc-livekit-server or set {SERVER_VARIABLE}"
    return found


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any server: empty PATH, scripts folder and cache, all below the returned folder."""
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / name))
    return tmp_path


def program(path: Path, script: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def status(server: LocalServer) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    finally:
        connection.close()


def eventually(truth: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not truth() and time.monotonic() < deadline:
        time.sleep(0.05)
    return truth()


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.process
def test_a_started_server_answers_and_a_stopped_one_leaves_no_process(binary: Path) -> None:
    children = set(psutil.Process().children(recursive=True))
    with LocalServer(port=0, binary=binary) as server:
        pid = server.pid
        assert pid
        assert server.running
        assert status(server) == 200
        assert server.url == f"ws://127.0.0.1:{server.port}"
    assert not psutil.pid_exists(pid)
    assert (server.pid, server.running) == (None, False)
    assert set(psutil.Process().children(recursive=True)) == children


@pytest.mark.process
def test_a_server_listens_on_the_loopback_address_only(binary: Path) -> None:
    with LocalServer(port=0, binary=binary) as server:
        sockets = psutil.Process(server.pid).net_connections()
    waiting = (psutil.CONN_LISTEN, psutil.CONN_NONE)
    bound = {(connection.type, connection.laddr.ip) for connection in sockets if connection.status in waiting}
    assert bound == {(socket.SOCK_STREAM, "127.0.0.1"), (socket.SOCK_DGRAM, "127.0.0.1")}


@pytest.mark.process
def test_two_servers_run_at_once_on_different_ports(binary: Path) -> None:
    with LocalServer(port=0, binary=binary) as one, LocalServer(port=0, binary=binary) as other:
        assert one.port != other.port
        assert (status(one), status(other)) == (200, 200)


@pytest.mark.process
def test_a_stopped_server_can_be_started_again(binary: Path) -> None:
    server = LocalServer(port=0, binary=binary)
    first = server.start().pid
    server.stop()
    with server:
        assert status(server) == 200
        assert server.pid != first


@pytest.mark.process
def test_a_running_server_is_not_started_twice(binary: Path) -> None:
    with LocalServer(port=0, binary=binary) as server:
        with pytest.raises(OpenRTCError, match="running already"):
            server.start()
        assert status(server) == 200


def test_a_taken_port_is_refused_with_its_number_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OpenRTCError, match=rf"port {port} .* is taken.*choose another port") as caught:
            LocalServer(port=port, binary=Path("/never/run")).start()
    assert "\n" not in str(caught.value)


@pytest.mark.process
def test_a_port_is_free_again_right_after_its_server_stopped(binary: Path) -> None:
    port = find_free_port(socket.SOCK_STREAM)
    for _ in range(2):
        with LocalServer(port=port, binary=binary) as server:
            assert status(server) == 200


@pytest.mark.process
def test_a_taken_udp_port_is_told_in_the_words_of_the_server(binary: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(OpenRTCError, match=rf"listen udp 127\.0\.0\.1:{port}: bind: address already in use"):
            LocalServer(port=0, udp_port=port, binary=binary).start()


@pytest.mark.process
def test_a_picked_port_that_is_lost_to_somebody_else_is_picked_again(tmp_path: Path, binary: Path) -> None:
    unlucky_once = program(
        tmp_path / "server",
        f'[ -e {tmp_path}/tried ] && exec {binary}; : > {tmp_path}/tried; echo "listen tcp: address already in use"',
    )
    with LocalServer(port=0, binary=unlucky_once) as server:
        assert status(server) == 200


@pytest.mark.process
def test_a_binary_that_ends_at_once_is_told_with_its_last_lines(tmp_path: Path) -> None:
    broken = program(tmp_path / "server", "echo one; echo two; echo three >&2; echo four; exit 7")
    with pytest.raises(OpenRTCError) as caught:
        LocalServer(port=0, binary=broken).start()
    assert str(caught.value) == (
        f"{broken}: the local LiveKit server ended at once (exit code 7); its last words: two / three / four"
    )


@pytest.mark.process
def test_a_binary_that_never_answers_is_ended_and_told(tmp_path: Path) -> None:
    mute = program(tmp_path / "server", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    with pytest.raises(OpenRTCError, match=r"did not answer on port \d+ within 0\.5 s; .* it logged nothing"):
        LocalServer(port=0, binary=mute, start_timeout=0.5).start()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


@pytest.mark.process
def test_a_file_that_is_no_program_is_told_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "server"
    text.write_bytes(b"\x7fno program")
    text.chmod(0o755)
    with pytest.raises(OpenRTCError, match="cannot be run: Exec format error"):
        LocalServer(port=0, binary=text).start()


@pytest.mark.process
def test_a_server_that_ignores_sigterm_is_ended_nevertheless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openrtc.server.local._TERM_SECONDS", (0.5, 0.2))
    stubborn = tmp_path / "server"
    stubborn.write_text(
        f"#!{sys.executable}\n"
        "import http.server, json, os, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "port = json.loads(os.environ['LIVEKIT_CONFIG'])['port']\n"
        "http.server.HTTPServer(('127.0.0.1', port), Handler).serve_forever()\n"
    )
    stubborn.chmod(0o755)
    with LocalServer(port=0, binary=stubborn) as server:
        pid = server.pid
        assert pid
    assert not psutil.pid_exists(pid)


@pytest.mark.process
def test_a_server_does_not_outlive_an_owner_who_was_killed(binary: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from openrtc.server import LocalServer\n"
        "print(LocalServer(port=0, binary=Path(sys.argv[1])).start().pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script, str(binary)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        assert not ended(pid)
        owner.send_signal(signal.SIGKILL)
    assert eventually(lambda: ended(pid))


@pytest.mark.process
def test_the_log_goes_to_the_file_that_was_asked_for(tmp_path: Path, binary: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("what stood here before\n")
    with LocalServer(port=0, binary=binary, log_path=log, log_level="info") as server:
        assert any("starting LiveKit server" in line for line in server.log_tail(20))
        assert "what stood here before" not in server.log_tail(20)
    assert log.read_text().startswith("what stood here before\n")
    assert "starting LiveKit server" in log.read_text()


@pytest.mark.process
def test_a_server_at_its_default_level_says_nothing_when_all_is_well(binary: Path) -> None:
    with LocalServer(port=0, binary=binary) as server:
        assert status(server) == 200
        assert server.log_tail() == []


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(OpenRTCError, match="32 characters or more"):
        LocalServer(api_secret="short")
    assert len(DEV_API_SECRET) >= 32


def test_variables_for_another_server_do_not_reach_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIVEKIT_KEYS", "LIVEKIT_API_SECRET", "REDIS_HOST", "UDP_PORT"):
        monkeypatch.setenv(name, "of another server")
    monkeypatch.setenv("HOME", "/home/me")
    environment = build_environment({"port": 1})
    assert "of another server" not in environment.values()
    assert environment["HOME"] == "/home/me"
    assert environment["LIVEKIT_CONFIG"] == '{"port": 1}'


def test_a_machine_without_a_server_is_told_how_to_get_one(bare_machine: Path) -> None:
    assert find_server() is None
    with pytest.raises(OpenRTCError, match=f"no livekit-server was found .*openrtc-livekit-server.*{SERVER_VARIABLE}"):
        LocalServer().start()


def test_places_are_asked_in_their_order(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = f"{sys.platform}-{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(os.uname().machine, os.uname().machine) }"
    program(find_build_cache() / f"1.9.2-{system}" / "livekit-server")
    newest = program(find_build_cache() / f"1.13.5-{system}" / "livekit-server")
    program(find_build_cache() / "9.9.9-plan9-mips" / "livekit-server")
    assert find_server() == newest
    in_scripts = program(bare_machine / "scripts" / "livekit-server")
    assert find_server() == in_scripts
    on_path = program(bare_machine / "path" / "livekit-server")
    assert find_server() == on_path
    named = program(bare_machine / "mine")
    monkeypatch.setenv(SERVER_VARIABLE, str(named))
    assert find_server() == named


def test_a_variable_that_names_no_program_is_told(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare_machine / "path" / "livekit-server")
    monkeypatch.setenv(SERVER_VARIABLE, str(bare_machine))
    with pytest.raises(OpenRTCError, match=f"^{SERVER_VARIABLE}: .* is not a program"):
        find_server()


def test_a_file_without_the_right_to_run_is_not_taken(bare_machine: Path) -> None:
    program(bare_machine / "scripts" / "livekit-server").chmod(0o644)
    assert find_server() is None


@pytest.mark.process
def test_the_module_does_not_import_livekit() -> None:
    script = "import sys, openrtc.server; print([name for name in sys.modules if name.partition('.')[0] == 'livekit'])"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
