from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from waiting import PATIENCE_SECONDS, poll_until

pytestmark = pytest.mark.process

if TYPE_CHECKING:
    import subprocess

    from conftest import Site

# The language model stands for a paid one: it calls the tool whose name begins the caller's question.
AGENTS = """
    import asyncio
    import os

    from livekit.agents import Agent, function_tool, llm, utils
    from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

    from openrtc import AgentSpec

    class Model(llm.LLM):
        def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
            return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    class Stream(llm.LLMStream):
        async def _run(self):
            await asyncio.sleep(0.3)
            last = [item for item in self._chat_ctx.items if item.type in ("message", "function_call_output")][-1]
            delta = llm.ChoiceDelta(role="assistant", content=last.output if last.type != "message" else "Pardon?")
            if last.type == "message" and self._tools and last.text_content.startswith("count"):
                call = llm.FunctionToolCall(name="count", arguments="{}", call_id=utils.shortuuid())
                delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
            self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))

    class Counter(Agent):
        def __init__(self):
            super().__init__(instructions="Count.", llm=Model())

        @function_tool
        async def count(self):
            '''Count to three.'''
            return f"One, two, three, in process {os.getpid()}."

    class Unbuildable(Agent):
        def __init__(self):
            raise ValueError("the shelf is empty")

    class NeedsKey(Agent):
        def __init__(self):
            raise ValueError("the api_key of the model must be set: SOME_API_KEY")

    class Deaf(Agent):
        def __init__(self):
            super().__init__(instructions="Fail.", llm=Refusing())

    class Refusing(llm.LLM):
        def chat(self, **_):
            raise RuntimeError("the model is on holiday")

    greeter = AgentSpec(agent=Counter, greeting="Welcome.", examples=("count, please",), summary="Greets and counts.")
"""
ROUTER = """
    from openrtc import Decision, hookimpl

    @hookimpl
    def openrtc_route(request, agents):
        if request.room_name.startswith("night-"):
            return Decision.to("greeter", reason="it is night")
"""


def add_agents(site: Site, *names: str) -> None:
    """Install a package with some of the agents."""
    values = {"counter": "Counter", "unbuildable": "Unbuildable", "needs-key": "NeedsKey", "deaf": "Deaf"}
    values["greeter"] = "greeter"
    site.add("counting", agents={name: f"counting:{values[name]}" for name in names}, files={"counting.py": AGENTS})


def show(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in text, with the packages of the site only."""
    return site.run("demo", "--text", *arguments, site.only)


@pytest.fixture(scope="module")
def shown(shared_site: Site) -> subprocess.CompletedProcess[str]:
    """The demo of two agents and a router, beside agents that it leaves out."""
    add_agents(shared_site, "counter", "greeter", "needs-key")
    shared_site.add("night", plugins={"night": "night_router"}, files={"night_router.py": ROUTER})
    source = "from livekit.agents import JobContext\n\nasync def entrypoint(ctx: JobContext): ...\n"
    shared_site.add("desks", agents={"desk": "desks:entrypoint"}, files={"desks.py": source})
    shared_site.add("wrecked", agents={"broken": "not_there:Agent"})
    result = show(shared_site)
    assert result.returncode == 0, result.stderr
    return result


def test_every_agent_is_called_routed_and_answers_in_one_process(shown: subprocess.CompletedProcess[str]) -> None:
    title, *_ = lines = shown.stdout.splitlines()
    pid = title.rpartition("PID ")[2]
    assert "counter-call-1 -> counter   room.prefix: the room name starts with 'counter'" in lines
    assert "hotline-1 -> greeter   job.agent: job metadata 'agent' asks for 'greeter'" in lines
    assert lines.count("  asked     count to three") == 1
    assert lines.count("  called    count()") == 3
    answers = [
        line for line in lines if re.fullmatch(rf"  said      One, two, three, in process {pid}\.  \(.* s\)", line)
    ]
    assert len(answers) == 3
    assert "  said      Welcome." in lines
    assert f"side by side in process {pid}: up to 3 calls at once" in lines
    assert any(line.startswith(f"3 good calls of 3, 2 agents, one process (PID {pid})") for line in lines)
    assert "\x1b" not in shown.stdout


def test_a_router_is_shown_by_a_call_that_it_routes(shown: subprocess.CompletedProcess[str]) -> None:
    assert "night-call-1 -> greeter   night:night: it is night" in shown.stdout.splitlines()


def test_what_cannot_be_called_is_left_out_and_the_rest_is_well(shown: subprocess.CompletedProcess[str]) -> None:
    assert "  left out  needs-key: the api_key of the model must be set: SOME_API_KEY" in shown.stdout.splitlines()
    assert "  left out  desk: it waits in a room for somebody to join, and this demo has no rooms" in shown.stdout


def test_a_broken_package_among_good_ones_is_one_line(shown: subprocess.CompletedProcess[str]) -> None:
    (line,) = shown.stderr.splitlines()
    assert "broken" in line
    assert "not_there" in line


def test_nothing_is_asked_without_a_terminal(shown: subprocess.CompletedProcess[str], site: Site) -> None:
    add_agents(site, "counter")
    not_told = site.run("demo", site.only)  # that it shall be in text
    assert not_told.returncode == 0, not_told.stderr
    for result in (shown, not_told):
        assert "in text" in result.stdout
        assert "Enter quits" not in result.stdout


def test_agents_that_cannot_be_built_or_whose_model_fails_are_a_line_each_and_exit_code_1(site: Site) -> None:
    add_agents(site, "counter", "unbuildable", "deaf")
    result = show(site)
    assert result.returncode == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("  failed")]
    (unbuildable,) = [line for line in failed if "unbuildable" in line]
    assert re.fullmatch(r"  failed    unbuildable: ValueError: the shelf is empty at .*counting\.py:\d+", unbuildable)
    (deaf,) = [line for line in failed if "deaf" in line]
    assert deaf.startswith("  failed    deaf: ") and "the model is on holiday" in deaf
    assert "counter-call-1 -> counter" in result.stdout
    assert "1 good call of 2, 1 agent" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_only_agents_without_their_keys_is_no_success(site: Site) -> None:
    add_agents(site, "needs-key")
    result = show(site)
    assert result.returncode == 1
    assert "no agent could be called" in result.stdout


def test_one_agent_can_be_chosen(site: Site) -> None:
    add_agents(site, "counter", "greeter")
    result = show(site, "--agent", "greeter")
    assert result.returncode == 0, result.stderr
    assert "1 good call of 1, 1 agent" in result.stdout
    assert "counter" not in result.stdout


def test_an_unknown_agent_is_one_line_with_a_suggestion(site: Site) -> None:
    add_agents(site, "counter")
    result = show(site, "--agent", "conter")
    assert result.returncode == 2
    assert result.stderr == 'openrtc: --agent: there is no agent "conter" (did you mean "counter"?)\n'


def test_without_any_agent_one_line_says_what_is_missing(site: Site) -> None:
    result = show(site)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("openrtc: no agent is ")
    assert "Traceback" not in result.stderr


def test_ctrl_c_ends_it_with_130(site: Site) -> None:
    add_agents(site, "counter", "greeter")
    slow = AGENTS.replace("await asyncio.sleep(0.3)", "open('asked', 'w').close(); await asyncio.sleep(60)")
    (site.folder / "counting.py").write_text(slow.replace("\n    ", "\n"), encoding="utf-8")
    errors = site.work / "errors"
    process = site.start("demo", "--text", "--allow", "counting", stderr=errors)
    poll_until((site.work / "asked").exists)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_SECONDS) == 130, errors.read_text()
    assert "Traceback" not in errors.read_text()


def test_it_ends_when_nobody_reads(site: Site) -> None:
    add_agents(site, "counter", "greeter")
    errors = site.work / "errors"
    reads, writes = os.pipe()
    process = site.start("demo", "--text", "--allow", "counting", stdout=writes, stderr=errors)
    with open(reads) as lines:
        assert lines.readline(), errors.read_text()
    assert process.wait(PATIENCE_SECONDS) == 141
    assert errors.read_text() == ""


def test_a_given_server_that_cannot_be_reached_is_one_line(site: Site) -> None:
    add_agents(site, "counter")
    server = ("--url", "ws://127.0.0.1:9", "--api-key", "key", "--api-secret", "secret" * 6)
    result = site.run("demo", "--allow", "counting,openrtc-offline", *server)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("openrtc: cannot register on ws://127.0.0.1:9: ")
    assert "Traceback" not in result.stderr
