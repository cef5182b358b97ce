"""What agents prepare once in each process, and what each call gets of it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from livekit.agents import Agent, JobExecutorType, JobProcess

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.model.status import State
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config
from openrtc.worker.prewarm import fill_userdata, prewarm_agents

if TYPE_CHECKING:
    from conftest import Site

RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_has_run() -> None:
    RAN.clear()


def build() -> Agent:
    return Agent(instructions="x")


def prewarm(process: JobProcess) -> None:
    asyncio.run(asyncio.sleep(0))  # no loop runs yet, as in livekit-agents
    RAN.append("prewarm")
    process.userdata["index"] = ["loaded"]


def of_another(process: JobProcess) -> None:
    RAN.append("another")
    process.userdata["other"] = True


def fails(process: JobProcess) -> None:
    raise ValueError("no weights")


def runtime_of(**specs: Any) -> Runtime:
    made = [AgentSpec(name=name, agent=build, **options) for name, options in specs.items()]
    return build_runtime(Config(), specs=made, discovered=False)


def userdata(runtime: Runtime, *agents: str) -> dict[Any, Any]:
    process = JobProcess(executor_type=JobExecutorType.THREAD, user_arguments=None, http_proxy=None)
    fill_userdata(process, agents, runtime)
    return process.userdata


def test_each_agent_is_prewarmed_once_and_its_calls_get_its_own_in_a_dict_each() -> None:
    runtime = runtime_of(one={"prewarm": prewarm}, same={"prewarm": prewarm}, other={"prewarm": of_another}, plain={})
    prewarm_agents(runtime)
    prewarm_agents(runtime)
    assert RAN == ["prewarm", "another"], "two agents of one module share what it has loaded"
    first, second = userdata(runtime, "one"), userdata(runtime, "one")
    assert first == second == {"index": ["loaded"]}
    assert first is not second and first["index"] is second["index"]
    assert userdata(runtime, "other") == {"other": True}
    assert userdata(runtime, "plain") == {}


def test_an_agent_whose_prewarm_fails_is_broken_and_the_others_are_not(caplog: pytest.LogCaptureFixture) -> None:
    runtime = runtime_of(bad={"prewarm": fails}, good={"prewarm": prewarm})
    with caplog.at_level(logging.ERROR):
        prewarm_agents(runtime)
    assert runtime.catalog.ready == ("good",)
    assert (runtime.catalog.get("bad").state, runtime.catalog.get("bad").reason) == (
        State.BROKEN,
        "its prewarm failed: ValueError: no weights",
    )
    assert "agent 'bad' cannot serve: its prewarm failed: ValueError: no weights" in caplog.text


def test_in_the_worker_what_has_processes_of_its_own_is_not_prewarmed_and_there_nothing_else_is() -> None:
    specs: dict[str, Any] = {"shared": {"prewarm": prewarm}, "apart": {"prewarm": of_another, "isolation": "process"}}
    prewarm_agents(runtime_of(**specs))
    assert RAN == ["prewarm"]
    RAN.clear()
    runtime = runtime_of(**specs)
    prewarm_agents(runtime, isolated=True)
    assert RAN == ["another"]
    assert userdata(runtime, "shared") == {"index": ["loaded"]}, "one that comes there all the same"


def test_one_that_fails_only_in_a_call_ends_that_call() -> None:
    runtime = runtime_of(apart={"prewarm": fails, "isolation": "process"})
    prewarm_agents(runtime)
    with pytest.raises(OpenRTCError, match='agent "apart": its prewarm failed: ValueError: no weights'):
        userdata(runtime, "apart")


def test_a_cast_has_what_the_agents_that_it_names_prepare() -> None:
    cast = Cast(members=[Member(role="a", agent="one"), Member(role="b", agent="other")])
    runtime = build_runtime(
        Config(),
        specs=[
            AgentSpec(name="one", agent=build, prewarm=prewarm),
            AgentSpec(name="other", agent=build, prewarm=of_another),
            AgentSpec(name="both", cast=cast),
        ],
        discovered=False,
    )
    prewarm_agents(runtime)
    assert userdata(runtime, "both") == {"index": ["loaded"], "other": True}


def test_an_installed_agents_prewarm_may_exit_and_is_located(site: Site) -> None:
    source = """
import sys
from livekit.agents import Agent
from openrtc import AgentSpec

def prewarm(process):
    sys.exit(3)

spec = AgentSpec(agent=lambda: Agent(instructions="x"), prewarm=prewarm)
"""
    site.add("pkg-a", agents={"helpdesk": "pkg_a:spec"}, files={"pkg_a.py": source})
    runtime = build_runtime(Config())
    prewarm_agents(runtime)
    reason = runtime.catalog.get("helpdesk").reason or ""
    assert reason.startswith("its prewarm failed: it called sys.exit(3) at ")
    assert reason.endswith("pkg_a.py:7")
