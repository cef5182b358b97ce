from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from e2e.worker_template import worker_template
from openrtc.install_commands import install_command

pytestmark = pytest.mark.process

if TYPE_CHECKING:
    from conftest import Site

# The language model stands for a paid one: it calls the tool that a line names after "!", and else repeats the line.
DESK = """
    import asyncio
    import sys
    import time

    from livekit.agents import APIStatusError, Agent, function_tool, llm, utils
    from livekit.agents import get_job_context
    from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

    class Model(llm.LLM):
        def chat(self, *, chat_ctx, tools=None, conn_options=DEFAULT_API_CONNECT_OPTIONS, **_):
            return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)

    class Stream(llm.LLMStream):
        async def _run(self):
            last = [item for item in self._chat_ctx.items if item.type in ("message", "function_call_output")][-1]
            words = last.text_content if last.type == "message" else last.output
            if words == "refuse":
                raise APIStatusError("the key is wrong", status_code=401)
            if words.startswith("!"):
                tool, _, arguments = words[1:].partition(" ")
                call = llm.FunctionToolCall(name=tool, arguments=arguments or "{}", call_id=utils.shortuuid())
                delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
                self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))
                return
            for word in f"you said {words}".split():
                delta = llm.ChoiceDelta(role="assistant", content=word + " ")
                self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))

    class Other(Agent):
        def __init__(self):
            super().__init__(instructions="Be another.", llm=Model())

        async def on_enter(self):
            self.session.say("I am the other one.")

    class Desk(Agent):
        def __init__(self):
            super().__init__(instructions="Be a desk.", llm=Model())

        async def on_enter(self):
            async def over(reason):
                print("shut down", flush=True)

            get_job_context().add_shutdown_callback(over)
            self.session.say("This is the desk.")

        @function_tool
        async def add(self, a: int, b: int):
            '''Add two numbers.'''
            return f"{a + b} is the sum"

        @function_tool
        async def fail(self):
            '''Fail.'''
            raise ValueError("the shelf is empty")

        @function_tool
        async def leave(self):
            '''Leave.'''
            sys.exit(3)

        @function_tool
        async def hand_over(self):
            '''Hand over.'''
            return Other()

        @function_tool
        async def hang(self):
            '''Never return.'''
            await asyncio.sleep(3600)

        @function_tool
        async def block(self):
            '''Block the loop.'''
            time.sleep(1.5)
            return "blocked"

        @function_tool
        async def hang_up(self):
            '''End the call.'''
            self.session.shutdown()

    class Silent(Agent):
        def __init__(self):
            super().__init__(instructions="Have no model.")
"""
PACKAGES = ("--allow", "desk-agent")


@pytest.fixture
def desk(site: Site) -> Site:
    """A package with the agents ``desk`` and ``silent``."""
    add_desk(site)
    return site


def add_desk(site: Site) -> None:
    agents = {"desk": "desk_agent:Desk", "silent": "desk_agent:Silent"}
    site.add("desk-agent", agents=agents, files={"desk_agent.py": DESK})


def chat(site: Site, typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the console with what is piped in."""
    return site.fork(worker_template(), "-m", "openrtc", "console", *arguments, *PACKAGES, typed=typed)


@pytest.fixture(scope="module")
def transcript(shared_site: Site) -> str:
    """A chat in which tools are called, one fails, one exits and one hands over."""
    add_desk(shared_site)
    typed = ["hello", "", '!add {"a": 1, "b": 2}', "!fail", "still there", "!leave", "still here"]
    typed += ["!hand_over", "hello again", "/quit", "is anybody there"]
    result = chat(shared_site, "".join(f"{line}\n" for line in typed), "desk")
    of_a_busy_machine = "error: the loop "  # was blocked
    errors = [line for line in result.stderr.splitlines() if not line.startswith(of_a_busy_machine)]
    assert (result.returncode, errors) == (0, [])
    assert "Traceback" not in result.stdout
    return result.stdout


def test_what_is_piped_in_becomes_a_clean_transcript(transcript: str) -> None:
    plain = re.sub(r"  \d+\.\d\d s$", "", transcript, flags=re.MULTILINE)
    assert plain.splitlines()[:9] == [
        "desk answers",
        "/quit or Ctrl-D ends the chat",
        "desk> This is the desk.",
        "you> hello",
        "desk> you said hello",
        'you> !add {"a": 1, "b": 2}',
        "  add(a=1, b=2)",
        "  = 3 is the sum",
        "desk> you said 3 is the sum",
    ]


def test_a_tool_that_raises_is_one_line_and_the_chat_goes_on(transcript: str) -> None:
    (failed,) = [line for line in transcript.splitlines() if "the shelf is empty" in line]
    assert re.fullmatch(r"  failed: ValueError: the shelf is empty at .*desk_agent\.py:\d+", failed)
    assert "desk> you said still there" in transcript


def test_sys_exit_in_a_tool_does_not_end_the_chat(transcript: str) -> None:
    assert "SystemExit(3)" in transcript
    assert "desk> you said still here" in transcript


def test_a_hand_over_is_shown_and_the_other_agent_goes_on(transcript: str) -> None:
    lines = transcript.splitlines()
    assert "  Other takes over" in lines
    assert any(line.startswith("Other> I am the other one.") for line in lines)
    assert any(line.startswith("Other> you said hello again") for line in lines)


def test_quit_ends_the_chat_with_its_shutdown_callbacks(transcript: str) -> None:
    assert "is anybody there" not in transcript
    assert transcript.splitlines()[-1] == "shut down"


def test_a_tool_that_blocks_is_told_of_with_its_line(desk: Site) -> None:
    result = chat(desk, "!block\n", "desk")
    assert result.returncode == 0, result.stderr
    line = r"error: the loop (has been|was) blocked for \d\.\d s by block\(\) of agent 'desk' at .*desk_agent\.py:\d+; "
    assert all(re.match(line, said) for said in result.stderr.splitlines()) and result.stderr, result.stderr
    assert "desk> you said blocked" in result.stdout


def test_a_model_that_refuses_is_one_line_and_exit_code_1(desk: Site) -> None:
    result = chat(desk, "refuse\nhello\n", "desk")
    assert result.returncode == 1
    assert [line for line in result.stdout.splitlines() if "key is wrong" in line] == [
        "  the language model failed: the key is wrong (HTTP 401)"
    ]
    assert "desk> you said hello" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_an_agent_that_hangs_up_ends_the_chat(desk: Site) -> None:
    result = chat(desk, "!hang_up\n", "desk")
    assert result.returncode == 0, result.stderr
    assert "the agent has ended the call" in result.stdout


def test_without_a_name_the_routing_decides_and_says_so(desk: Site) -> None:
    result = chat(
        desk,
        "",
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == (
        "desk answers (default: the first registered agent); there are also: silent"
    )


def test_an_unknown_agent_is_one_line_with_a_suggestion(desk: Site) -> None:
    result = chat(desk, "", "deks")
    assert result.returncode == 2
    assert result.stderr.splitlines() == ['openrtc: there is no agent "deks" (did you mean "desk"?)']


def test_an_agent_without_a_model_is_one_line_that_says_how_to_get_one(desk: Site) -> None:
    result = chat(desk, "hello\n", "silent")
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("openrtc: agent 'silent' has no language model")
    assert install_command("openrtc-offline[espeak]") in line


def test_closed_input_is_the_end_of_the_chat(desk: Site) -> None:
    command = f"exec '{sys.executable}' -m openrtc console desk --allow desk-agent <&-"
    result = subprocess.run(
        ["sh", "-c", command], cwd=desk.work, env=desk.environment(), capture_output=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert b"This is the desk." in result.stdout


class Terminal:
    """The console on a pseudo-terminal."""

    def __init__(self, site: Site, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        ends = {"stdin": os.dup(slave), "stdout": os.dup(slave), "stderr": slave}
        self.process = site.start("console", *arguments, *PACKAGES, env={"TERM": "xterm"}, **ends)
        self._raw = ""

    @property
    def seen(self) -> str:
        """What was printed, without colours."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._raw)

    def wait_for(self, text: str, seconds: float = 90.0) -> None:
        """Read until ``text`` is on the screen."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.master], [], [], 0.2)[0]:
                self._raw += os.read(self.master, 65_536).decode(errors="replace")

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self.master, text.encode())

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.process.wait(60)
        finally:
            self.process.kill()
            os.close(self.master)


def test_on_a_terminal_it_prompts_and_ctrl_d_ends(desk: Site) -> None:
    terminal = Terminal(desk, "desk")
    terminal.wait_for("you> ")
    terminal.type("hello\n")
    terminal.wait_for("desk> you said hello")
    terminal.wait_for(" s\r\nyou> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_ctrl_c_ends_with_130_also_while_a_tool_hangs(desk: Site) -> None:
    terminal = Terminal(desk, "desk")
    terminal.wait_for("you> ")
    terminal.type("!hang\n")
    time.sleep(1)
    started = time.monotonic()
    os.kill(terminal.process.pid, signal.SIGINT)
    terminal.wait_for("shut down", 20)
    assert terminal.end() == 130
    assert time.monotonic() - started < 20
    assert "Traceback" not in terminal.seen
