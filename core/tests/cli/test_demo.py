from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

pytestmark = pytest.mark.process

if TYPE_CHECKING:
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


def test_every_agent_is_called_routed_and_answers_in_one_process(site: Site) -> None:
    add_agents(site, "counter", "greeter")
    result = show(site)
    assert result.returncode == 0, result.stderr
    title, *_ = lines = result.stdout.splitlines()
    pid = title.rpartition("PID ")[2]
    assert "counter-call-1 -> counter   room.prefix: the room name starts with 'counter'" in lines
    assert "hotline-1 -> greeter   job.agent: job metadata 'agent' asks for 'greeter'" in lines
    assert lines.count("  asked     count to three") == 1
    assert lines.count("  called    count()") == 2
    answers = [
        line for line in lines if re.fullmatch(rf"  said      One, two, three, in process {pid}\.  \(.* s\)", line)
    ]
    assert len(answers) == 2
    assert "  said      Welcome." in lines
    assert f"side by side in process {pid}: up to 2 calls at once" in lines
    assert any(line.startswith(f"2 good calls of 2, 2 agents, one process (PID {pid})") for line in lines)
    assert "\x1b" not in result.stdout
    assert result.stderr == ""


def test_a_router_is_shown_by_a_call_that_it_routes(site: Site) -> None:
    add_agents(site, "counter", "greeter")
    site.add("night", plugins={"night": "night_router"}, files={"night_router.py": ROUTER})
    result = show(site)
    assert result.returncode == 0, result.stderr
    assert "night-call-1 -> greeter   night:night: it is night" in result.stdout.splitlines()


def test_an_agent_that_cannot_be_built_is_one_line_and_exit_code_1(site: Site) -> None:
    add_agents(site, "counter", "unbuildable")
    result = show(site)
    assert result.returncode == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("  failed")]
    assert len(failed) == 1
    assert re.fullmatch(r"  failed    unbuildable: ValueError: the shelf is empty at .*counting\.py:\d+", failed[0])
    assert "counter-call-1 -> counter" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_an_agent_whose_model_fails_is_one_line_and_exit_code_1(site: Site) -> None:
    add_agents(site, "counter", "deaf")
    result = show(site)
    assert result.returncode == 1
    assert any("failed    deaf: " in line and "the model is on holiday" in line for line in result.stdout.splitlines())
    assert "1 good call of 2, 1 agent" in result.stdout


def test_an_agent_without_its_key_is_left_out_and_the_rest_is_well(site: Site) -> None:
    add_agents(site, "counter", "needs-key")
    result = show(site)
    assert result.returncode == 0, result.stderr
    assert "  left out  needs-key: the api_key of the model must be set: SOME_API_KEY" in result.stdout.splitlines()


def test_an_entrypoint_is_left_out_where_there_are_no_rooms(site: Site) -> None:
    add_agents(site, "counter")
    source = "from livekit.agents import JobContext\n\nasync def entrypoint(ctx: JobContext): ...\n"
    site.add("desks", agents={"desk": "desks:entrypoint"}, files={"desks.py": source})
    result = show(site)
    assert result.returncode == 0, result.stderr
    assert "  left out  desk: it waits in a room for somebody to join, and this demo has no rooms" in result.stdout


def test_only_agents_without_their_keys_is_no_success(site: Site) -> None:
    add_agents(site, "needs-key")
    result = show(site)
    assert result.returncode == 1
    assert "no agent could be called" in result.stdout


def test_a_broken_package_among_good_ones_is_one_line(site: Site) -> None:
    add_agents(site, "counter")
    site.add("night", agents={"broken": "not_there:Agent"})
    result = show(site)
    assert result.returncode == 0, result.stderr
    (line,) = result.stderr.splitlines()
    assert "broken" in line
    assert "not_there" in line
    assert "1 good call of 1" in result.stdout


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
    slow = AGENTS.replace("asyncio.sleep(0.3)", "asyncio.sleep(60)")
    (site.folder / "counting.py").write_text(slow.replace("\n    ", "\n"), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "openrtc", "demo", "--text", "--allow", "counting"],
        cwd=site.work,
        env=site.environment({"PYTHONUNBUFFERED": "1"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith("  how"):
        assert process.poll() is None
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors


def test_it_ends_when_nobody_reads(site: Site) -> None:
    add_agents(site, "counter", "greeter")
    command = f"'{sys.executable}' -m openrtc demo --text --allow counting | head -1; echo ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], cwd=site.work, env=site.environment(), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert result.stdout.splitlines()[1:] == ["141"]
    assert result.stderr == ""


SPEAKER = """
    from livekit.agents import Agent, function_tool

    class Baker(Agent):
        '''Sells bread.'''

        def __init__(self):
            super().__init__(instructions="Sell bread.")

        @function_tool
        async def opening_hours(self):
            '''Tell the opening hours.'''
            return "We are open from seven until noon."
"""


def test_callers_speak_and_hear_the_answer(site: Site) -> None:
    site.add("bakery", agents={"baker": "bakery:Baker"}, files={"bakery.py": SPEAKER})
    result = site.run("demo", "--allow", "bakery,openrtc-offline")
    assert result.returncode == 0, result.stdout + result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("  how       spoken") for line in lines)
    assert any(re.fullmatch(r"  heard     .*opening hours", line) for line in lines), "as well as it recognises speech"
    assert "  called    opening_hours()" in lines
    assert any(
        re.fullmatch(r"  said      We are open from seven until noon\.  \(\d+\.\d\d s\)", line) for line in lines
    )
    assert any(line.startswith("1 good call of 1, 1 agent, one process") for line in lines)


def test_a_given_server_that_cannot_be_reached_is_one_line(site: Site) -> None:
    site.add("bakery", agents={"baker": "bakery:Baker"}, files={"bakery.py": SPEAKER})
    server = ("--url", "ws://127.0.0.1:9", "--api-key", "key", "--api-secret", "secret" * 6)
    result = site.run("demo", "--allow", "bakery,openrtc-offline", *server)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("openrtc: cannot register on ws://127.0.0.1:9: ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [("--text",), ()])
def test_nothing_is_asked_without_a_terminal(site: Site, arguments: tuple[str, ...]) -> None:
    add_agents(site, "counter")
    result = site.run("demo", *arguments, "--allow", "counting")
    assert result.returncode == 0, result.stderr
    assert "in text" in result.stdout
    assert "Enter quits" not in result.stdout
