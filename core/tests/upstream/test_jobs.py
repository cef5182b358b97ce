"""Contract with livekit-agents: each private name that OpenRTC uses is there and is used as OpenRTC expects."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import Agent, AgentServer, JobContext, function_tool
from livekit.agents.ipc import proto
from livekit.agents.ipc.job_proc_executor import ProcJobExecutor
from livekit.agents.ipc.job_proc_lazy_main import _JobProc
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.llm import FunctionTool, RawFunctionTool

import openrtc.upstream.jobs as upstream
from e2e.worker_template import worker_template
from openrtc.session.containment import AgentExit, contain_tool_exits
from openrtc.upstream.digest import find_changes
from openrtc.worker.coroutine_pool import CoroutineJob, CoroutinePool
from openrtc.worker.job_pool import JobPool


def attributes_of(owner: object, base: str) -> set[str]:
    """Return the names that ``owner``'s source reads or calls on ``base``, such as ``self._proc_pool``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))  # type: ignore[arg-type]
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == base}


def test_this_livekit_agents_is_supported() -> None:
    assert find_changes("jobs", "status") == {}


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
    assert {"job_executor_type", "num_idle_processes", *upstream._POOL_ATTRIBUTES} == arguments


def test_the_server_takes_the_modules_to_preload_where_this_livekit_agents_can() -> None:
    assert AgentServer(**upstream.build_preload_option("openrtc.worker.child_preload")) is not None


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


def test_the_server_tells_whether_it_is_connecting() -> None:
    source = inspect.getsource(AgentServer._connection_task)
    assert source.index("self._connecting = True") < source.index("self._handle_register(")
    assert source.index("self._handle_register(") < source.index("self._connecting = False")
    server = AgentServer(ws_url="ws://x", api_key="k", api_secret="s")
    assert not upstream.is_connecting(server) and not upstream.has_given_up(server)
    server._connecting = server._connection_failed = True
    assert upstream.is_connecting(server) and upstream.has_given_up(server)


def test_of_a_server_that_is_another_nothing_private_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    server = AgentServer(ws_url="ws://x", api_key="k", api_secret="s")
    del server._connecting, server._connection_failed

    async def connect(self: Any) -> None: ...

    monkeypatch.setattr(AgentServer, "_connection_task", connect)
    assert not upstream.is_connecting(server) and not upstream.has_given_up(server)


def test_the_server_tells_of_its_registration_with_its_id() -> None:
    assert 'self.emit("worker_registered", reg.worker_id, reg.server_info)' in inspect.getsource(AgentServer)


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools without a guard, also after the test."""
    for kind in (FunctionTool, RawFunctionTool):
        monkeypatch.setattr(kind, "__call__", kind.__call__)
        monkeypatch.delattr(kind, "__call__")


def test_tools_of_another_livekit_agents_are_left_alone(unguarded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "find_changes", lambda part: {part: "x"})
    upstream.guard_tools(lambda called: contain_tool_exits(called)())
    assert "__call__" not in vars(FunctionTool)


async def test_the_tools_of_a_call_are_guarded_once_and_keep_their_signature(
    unguarded: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Talker(Agent):
        @function_tool
        async def leave(self, code: int) -> str:
            """Leave."""
            sys.exit(code)

    guarded: list[Any] = []

    def guard(called: Any) -> Any:
        guarded.append(called)
        return contain_tool_exits(called)()

    for _ in range(2):
        upstream.guard_tools(guard)
    leave: Any = next(tool for tool in Talker(instructions="x").tools if tool.id == "leave")
    assert list(inspect.signature(leave).parameters) == ["code"]
    with pytest.raises(SystemExit):  # outside of a call, it is nobody's business
        await leave(3)
    monkeypatch.setattr(upstream, "get_job_context", lambda required: "a job")
    with pytest.raises(AgentExit, match="was raised in a tool"):
        await leave(3)
    assert len(guarded) == 1


PANIC = """
import os, signal, ctypes
from livekit.rtc import _ffi_client
from livekit.rtc._proto import ffi_pb2
from openrtc.upstream.jobs import intercept_native_panics

reported = []
intercept_native_panics(reported.append)
event = ffi_pb2.FfiEvent()
event.panic.message = "the receiver is gone"
data = event.SerializeToString()
buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
_ffi_client.ffi_event_callback(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_uint8)), len(data))
assert reported == ["the receiver is gone"], reported
assert _ffi_client.os.getpid() == os.getpid()
"""


@pytest.mark.process
def test_a_panic_of_the_native_library_is_reported_and_sends_no_signal() -> None:
    assert find_changes("panics") == {}
    done = worker_template().run(["-c", PANIC])
    assert done.returncode == 0, done.stderr
    assert "Panic" not in done.stderr
