"""Contract with livekit-agents: each private name that OpenRTC uses is there and is used as OpenRTC expects."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import textwrap
from typing import Any

import pytest
from aiohttp import web
from livekit import rtc
from livekit.agents import Agent, AgentServer, JobContext, function_tool, utils
from livekit.agents.ipc import proto
from livekit.agents.ipc.job_proc_executor import ProcJobExecutor
from livekit.agents.ipc.job_proc_lazy_main import _JobProc
from livekit.agents.ipc.proc_pool import ProcPool

import openrtc.worker.upstream.jobs as upstream
from openrtc.worker.containment import AgentExit, contained_tool
from openrtc.worker.coroutine_pool import CoroutineJob, CoroutinePool
from openrtc.worker.job_pool import JobPool


def attributes_of(owner: object, base: str) -> set[str]:
    """Return the names that ``owner``'s source reads or calls on ``base``, such as ``self._proc_pool``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))  # type: ignore[arg-type]
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == base}


def test_this_livekit_agents_is_supported() -> None:
    assert upstream.why_unsupported() is None


def test_the_server_uses_only_what_the_job_pool_has() -> None:
    used = attributes_of(AgentServer, "self._proc_pool")
    assert {"launch_job", "processes", "aclose", "start", "on", "get_by_job_id"} <= used
    assert all(hasattr(JobPool, name) for name in used), used


def test_livekit_agents_own_pool_has_what_the_job_pool_uses_of_it() -> None:
    used = attributes_of(JobPool, "pool")
    assert {"start", "aclose", "processes", "on"} <= used
    assert all(hasattr(ProcPool, name) for name in used), used


def test_the_process_pool_keeps_each_argument_where_openrtc_reads_it() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(ProcPool.__init__)))
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)]
    kept = {(ast.unparse(node.value), ast.unparse(node.targets[0])) for node in assigned}
    for argument, attribute in upstream._POOL_ATTRIBUTES.items():
        assert (argument, f"self.{attribute}") in kept
    arguments = set(inspect.signature(ProcPool.__init__).parameters) - {"self"}
    assert {*upstream._POOL_OWN, *upstream._POOL_ATTRIBUTES} == arguments


def test_the_server_takes_the_modules_to_preload_where_this_livekit_agents_can() -> None:
    assert AgentServer(**upstream.preloading("openrtc.worker.child_preload")) is not None


def test_a_process_that_ends_tells_how() -> None:
    assert all(hasattr(ProcJobExecutor, name) for name in ("exitcode", "killed", "kill", "status", "running_job"))
    source = inspect.getsource(ProcJobExecutor.__mro__[1])
    assert "process exited with non-zero exit code" in source
    assert source.index("signal.SIGUSR1)") < source.index("self._proc.kill()")


def test_starting_a_pool_makes_its_processes_in_the_background() -> None:
    source = inspect.getsource(ProcPool.start)
    assert source.index("create_task(self._main_task())") < source.index("_idle_ready.wait()")


def test_the_server_uses_of_a_job_only_what_the_coroutine_job_has() -> None:
    used = attributes_of(AgentServer, "proc") - {"running_job"}
    assert used and all(hasattr(CoroutineJob, name) for name in used), used


def test_the_server_gives_the_pool_to_the_descriptor_once() -> None:
    source = textwrap.dedent(inspect.getsource(AgentServer))
    assigned = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self._proc_pool"
    ]
    assert len(assigned) == 1
    assert isinstance(upstream.PooledAgentServer.__dict__["_proc_pool"], property)


def test_the_lifecycle_uses_of_its_client_and_inference_only_what_stands_in_for_them() -> None:
    entry = attributes_of(_JobProc, "self._client")
    assert entry <= {"send"}
    inference = attributes_of(_JobProc, "self._inf_client") | attributes_of(JobContext, "self._inf_executor")
    assert inference <= {"close", "_on_inference_response", "do_inference"}


def test_the_lifecycle_sets_up_only_what_openrtc_sets_too() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(_JobProc.initialize)))
    names = {ast.unparse(node.targets[0]) for node in ast.walk(tree) if isinstance(node, ast.Assign)}
    assert names == {"self._client", "self._inf_client", "self._job_proc"}


def test_the_job_connects_through_the_instance_so_that_a_shield_is_seen() -> None:
    assert "await self._room.connect(" in inspect.getsource(JobContext.connect)
    assert "connect" in vars(rtc.Room) and rtc.Room.__dictoffset__ != 0


def test_the_messages_that_openrtc_sends_are_there() -> None:
    assert proto.ShutdownRequest(reason="x").reason == "x"
    request = proto.StartJobRequest()
    with pytest.raises(AttributeError):
        request.running_job  # noqa: B018


def test_the_pool_emits_what_the_server_listens_to() -> None:
    listened = {
        node.args[0].value
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(AgentServer.run))))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "self._proc_pool.on"
        and isinstance(node.args[0], ast.Constant)
    }
    assert listened == {"process_started", "process_closed", "process_job_launched"}
    assert {"process_closed", "process_job_launched"} <= set(
        __import__("re").findall(r'emit\("(\w+)"', inspect.getsource(CoroutinePool) + inspect.getsource(ProcPool))
    )


def test_the_health_server_can_be_given_routes_before_it_starts() -> None:
    assert upstream.why_no_routes() is None
    source = textwrap.dedent(inspect.getsource(AgentServer.run))
    made = [
        ast.unparse(node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "self._http_server"
    ]
    assert len(made) == 1 and made[0].startswith("http_server.HttpServer(")
    assert source.index("self._http_server = ") < source.index("await self._http_server.start()")


def test_a_health_server_with_routes_of_the_same_paths_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(self: Any) -> None:
        self._http_server = http_server.HttpServer("", 0)  # type: ignore[name-defined]  # noqa: F821
        self._http_server.app.add_routes(["/ready"])

    monkeypatch.setattr(AgentServer, "run", run)
    assert upstream.why_no_routes.__wrapped__() == "AgentServer.run has its own /ready"


async def test_routes_are_added_when_the_health_server_is_made() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="yes")

    server = upstream.RoutedAgentServer(
        routes=[web.get("/ready", answer)], ws_url="ws://x", api_key="k", api_secret="s"
    )
    assert server._http_server is None
    health = utils.http_server.HttpServer("127.0.0.1", 0)
    server._http_server = health
    assert [route.resource.canonical for route in health.app.router.routes() if route.resource] == ["/ready"] * 2


def test_the_server_tells_whether_it_is_connecting() -> None:
    source = inspect.getsource(AgentServer._connection_task)
    assert source.index("self._connecting = True") < source.index("self._handle_register(")
    assert source.index("self._handle_register(") < source.index("self._connecting = False")
    assert not upstream.is_connecting(AgentServer(ws_url="ws://x", api_key="k", api_secret="s"))


def test_the_server_tells_of_its_registration_with_its_id() -> None:
    assert 'self.emit("worker_registered", reg.worker_id, reg.server_info)' in inspect.getsource(AgentServer)


async def test_the_functions_of_tools_can_be_replaced_once_and_keep_their_signature() -> None:
    @function_tool
    async def shared(word: str) -> str:
        """Say a word."""
        return word

    class Talker(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="x", tools=[shared])

        @function_tool
        async def leave(self, code: int) -> str:
            """Leave."""
            sys.exit(code)

    for agent in (Talker(), Talker()):
        upstream.replace_tool_functions(agent, contained_tool)
        tools: dict[str, Any] = {tool.id: tool for tool in agent.tools}
        assert list(inspect.signature(tools["leave"]).parameters) == ["code"]
        assert await tools["shared"]("hello") == "hello"
        with pytest.raises(AgentExit, match="was raised in a tool"):
            await tools["leave"](3)


PANIC = """
import os, signal, ctypes
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2
from openrtc.worker.upstream.jobs import on_native_panic

told = []
on_native_panic(told.append)
event = ffi_pb2.FfiEvent()
event.panic.message = "the receiver is gone"
data = event.SerializeToString()
buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
_ffi_client.ffi_event_callback(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_uint8)), len(data))
assert told == ["the receiver is gone"], told
assert _ffi_client.os.getpid() == os.getpid()
"""


def test_a_panic_of_the_native_library_is_told_and_sends_no_signal() -> None:
    assert upstream.why_panics_are_signals() is None
    done = subprocess.run([sys.executable, "-c", PANIC], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Panic" not in done.stderr
