"""What is read of an `AgentServer` and of ``WorkerOptions`` is there."""

from __future__ import annotations

import inspect
from typing import Any

from livekit.agents import AgentServer, WorkerOptions, WorkerPermissions, WorkerType

from openrtc.upstream.registered import read_options, read_server

NOTHING = {"agent_name": "", "registration": {}, "unused": []}


async def entrypoint(context: Any) -> None: ...


async def on_end(context: Any) -> None: ...


def prewarm(process: Any) -> None: ...


def test_a_server_keeps_each_argument_of_its_constructor() -> None:
    server = AgentServer()
    for name in inspect.signature(AgentServer).parameters:
        assert hasattr(server, {"multiprocessing_context": "_mp_ctx_str"}.get(name, f"_{name}")), name


def test_a_server_is_read() -> None:
    server = AgentServer(setup_fnc=prewarm)
    server.rtc_session(entrypoint, agent_name="a", on_request=on_end, on_session_end=on_end, on_simulation_end=on_end)
    callbacks = {"on_request": on_end, "on_session_end": on_end, "on_simulation_end": on_end}
    given = {"entrypoint": entrypoint, "prewarm": prewarm, **callbacks}
    assert read_server(server) == {**given, "agent_name": "a", "registration": {}, "unused": []}


def test_a_server_without_anything_has_nothing() -> None:
    callbacks = ("entrypoint", "prewarm", "on_request", "on_session_end", "on_simulation_end")
    assert read_server(AgentServer()) == {**dict.fromkeys(callbacks), **NOTHING}


def test_options_are_read_and_what_they_have_by_default_is_nobodys() -> None:
    given = {"entrypoint": entrypoint, "prewarm": None, "on_request": on_end}
    assert read_options(WorkerOptions(entrypoint, request_fnc=on_end)) == {**given, **NOTHING}
    server = AgentServer.from_server_options(WorkerOptions(entrypoint, agent_name="a", drain_timeout=3))
    assert (read_server(server)["unused"], read_server(server)["agent_name"]) == (["drain_timeout"], "a")
    assert (read_server(server)["prewarm"], read_server(server)["on_request"]) == (None, None)


def test_what_a_registration_of_its_own_needs_is_read_of_both() -> None:
    hidden = WorkerPermissions(hidden=True)
    server = AgentServer(permissions=hidden)
    server.rtc_session(entrypoint, type=WorkerType.PUBLISHER)
    asked = {"permissions": hidden, "type": WorkerType.PUBLISHER}
    assert read_server(server)["registration"] == asked
    options = WorkerOptions(entrypoint, permissions=hidden, worker_type=WorkerType.PUBLISHER)
    assert read_options(options)["registration"] == asked
