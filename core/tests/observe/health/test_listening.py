from __future__ import annotations

import socket

import pytest

from openrtc.errors import OpenRTCError
from openrtc.observe.health.listening import is_loopback, names_loopback, open_listeners

HERE = ["127.0.0.1", "127.0.0.1:8081", "127.9.9.9", "[::1]", "[::1]:1", "localhost", "LocalHost:65535", "localhost:"]
ELSEWHERE = ["evil.example", "evil.example:8081", "localhost.evil.example", "127.0.0.1.evil.example", "", ":8081"]
ELSEWHERE += ["10.0.0.1", "[::2]", "::1", "[::1", "localhost:x", "localhost:1:2", "127.0.0.1 ", "0.0.0.0", "0x7f.1"]


@pytest.mark.parametrize("authority", HERE)
def test_this_machine_is_known_by_its_addresses_and_its_name(authority: str) -> None:
    assert names_loopback(authority)


@pytest.mark.parametrize("authority", ELSEWHERE)
def test_any_other_host_may_be_somebody_elses(authority: str) -> None:
    assert not names_loopback(authority)


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)])
def test_all_addresses_of_a_host_have_one_port(host: str, loopback: bool) -> None:
    listeners = open_listeners(host, 0)
    assert len({listener.getsockname()[1] for listener in listeners}) == 1
    assert all(map(is_loopback, listeners)) == loopback
    for listener in listeners:
        listener.close()


def test_an_empty_host_is_every_address() -> None:
    listeners = open_listeners("", 0)
    assert "0.0.0.0" in {listener.getsockname()[0] for listener in listeners}
    for listener in listeners:
        listener.close()


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OpenRTCError) as told:
            open_listeners("127.0.0.1", port)
    where = f"the health server cannot listen on 127.0.0.1:{port}"
    assert str(told.value) == f"{where}: Address already in use (choose another --port)"


@pytest.mark.parametrize(
    ("host", "port", "told"),
    [
        ("192.0.2.1", 0, r"cannot listen on 192\.0\.2\.1:0: .* \(choose another --host\)"),
        ("nowhere.invalid", 1, r"cannot listen on nowhere\.invalid:1: .* \(choose another --host\)"),
        ("a" * 64 + ".x", 1, r"cannot listen on a+\.x:1: .* \(choose another --host\)"),
        ("127.0.0.1", 65_536, r"cannot listen on 127\.0\.0\.1:65536: .* \(choose another --port\)"),
    ],
)
def test_what_cannot_be_listened_to_is_one_line(host: str, port: int, told: str) -> None:
    with pytest.raises(OpenRTCError, match=told):
        open_listeners(host, port)
