from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from livekit.agents import (
    Agent,
    JobContext,
    JobProcess,
    RunContext,
    function_tool,
    get_job_context,
    inference,
    mock_tools,
)

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.model.call import Call
from openrtc.rehearsal.errors import RehearsalError
from openrtc.rehearsal.rehearse import rehearse
from openrtc.rehearsal.script import Script, ToolCall
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, WorkerSettings


class Desk(Agent):
    def __init__(self, call: Call) -> None:
        super().__init__(instructions="Help.")
        self.company = (call.request.job_metadata or {}).get("company", "")
        self.prepared = get_job_context().proc.userdata.get("prepared")

    async def on_enter(self) -> None:
        await asyncio.sleep(0.05)
        self.session.say("Welcome.")

    @function_tool
    async def add(self, one: int, two: int) -> str:
        """Add two numbers."""
        return f"{get_job_context().job.room.name}: {one + two}"

    @function_tool
    async def fail(self) -> str:
        """Fail."""
        raise ValueError("no such thing")

    @function_tool
    async def transfer(self) -> Any:
        """Hand over."""
        return Hosted(), "over to the other"

    @function_tool
    async def hang_up(self, context: RunContext[Any]) -> None:
        """End the call."""
        get_job_context().shutdown("enough")


class Hosted(Agent):
    """One whose model needs a key, which is made where it takes over."""

    def __init__(self) -> None:
        super().__init__(instructions="Help.", llm=inference.LLM("openai/gpt-4.1-mini"), tts="cartesia/sonic-2")


def prewarm(process: JobProcess) -> None:
    process.userdata["prepared"] = 7


def runtime(agent: Callable[..., Any] = Desk, **options: Any) -> Runtime:
    return build_runtime(Config(), specs=[AgentSpec(name="desk", agent=agent, **options)], discovered=False)


async def test_an_agent_is_built_for_a_call_as_in_a_worker_and_says_what_it_says_by_itself() -> None:
    desk = runtime(prewarm=prewarm)
    async with rehearse(desk, "desk", model=Script([]), room="r-1", job_metadata='{"company": "Acme"}') as call:
        assert isinstance(call.agent, Desk)
        assert (call.agent.company, call.agent.prepared, call.call.room_name) == ("Acme", 7, "r-1")
        assert (call.call.agent_name, call.call.models["llm"]) == ("desk", "instance of Script")
        assert sorted(call.tools) == ["add", "fail", "hang_up", "transfer"]
        assert call.tools["add"]["parameters"]["required"] == ["one", "two"]
        assert call.said == [("", "Welcome.")]
        call.opening.expect.next_event().is_message(role="assistant")
        call.opening.expect.no_more_events()
    with pytest.raises(RuntimeError):
        get_job_context()


async def test_a_turn_gives_what_livekit_gives_for_it() -> None:
    script = Script([ToolCall("add", one=1, two=2), "It is three.", ToolCall("fail"), "That failed."])
    async with rehearse(runtime(), "desk", model=script, room="r-1") as call:
        result = await call.run("What is one and two?")
        result.expect.next_event().is_function_call(name="add", arguments={"one": 1, "two": 2})
        result.expect.next_event().is_function_call_output(output="r-1: 3")
        result.expect.next_event().is_message(role="assistant")
        result.expect.no_more_events()
        failed = await call.run("And now?")
        failed.expect.contains_function_call_output(is_error=True)
        call.check_complete()


async def test_mocked_tools_count_from_when_the_test_mocks_them() -> None:
    script = Script([ToolCall("add", one=1, two=2), "Done."] * 2)
    async with rehearse(runtime(), "desk", model=script) as call:
        with mock_tools(Desk, {"add": lambda: "mocked"}):
            (await call.run("Add")).expect.contains_function_call_output(output="mocked")
        (await call.run("Add")).expect.contains_function_call_output(output="rehearsal: 3")


async def test_a_model_that_needs_a_key_can_be_made_and_is_not_asked_also_after_a_hand_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("LIVEKIT")]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    monkeypatch.setattr("openrtc.rehearsal.rehearse.list_missing_variables", lambda *_: KEYS)
    script = Script([ToolCall("transfer"), "I took over."])
    async with rehearse(runtime(), "desk", model=script) as call:
        result = await call.run("Somebody else, please")
        result.expect.contains_agent_handoff(new_agent_type=Hosted)
        assert (await _say_hello(call.run, script)) == "Hello."
        assert isinstance(call.agent, Hosted) and call.agent.llm is script
    assert dict(os.environ) == before


KEYS = ("LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_INFERENCE_API_SECRET")


async def _say_hello(run: Callable[[str], Awaitable[Any]], script: Script) -> str:
    script.extend(["Hello."])
    text: str = (await run("Hello?")).events[-1].item.text_content
    return text


async def test_an_agent_that_hangs_up_ends_the_call_without_an_error() -> None:
    async with rehearse(runtime(), "desk", model=Script([ToolCall("hang_up"), "Bye."])) as call:
        (await call.run("Goodbye")).expect.contains_function_call(name="hang_up")
        await asyncio.sleep(0.05)
        with pytest.raises(OpenRTCError, match="the call was over before 'Are you there\\?' was said"):
            await call.run("Are you there?")


async def test_only_to_build_it_starts_nothing() -> None:
    async with rehearse(runtime(), "desk", starts=False, model=Script([])) as call:
        assert [type(agent) for agent in call.agents] == [Desk]
        assert call.said == [] and call.session.agent_state == "initializing"


class Silent(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="")

    async def on_enter(self) -> None:
        raise ValueError("no greeting")


def _block() -> Agent:
    while True:
        time.sleep(0.01)


def _need_key() -> Agent:
    if not os.environ.get("SOME_MODEL_API_KEY"):
        raise ValueError("set SOME_MODEL_API_KEY")
    return Agent(instructions="Help.")


def _fail() -> Agent:
    raise ValueError("no database")


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        (_fail, r"^agent 'desk' failed: ValueError: no database at .*test_rehearse.py:\d+$"),
        (lambda: None, r"^agent 'desk' failed: .*returned None, not an Agent"),
        (Silent, r"^agent 'desk' failed: ValueError: no greeting at .*test_rehearse.py:\d+$"),
    ],
)
async def test_an_agent_that_fails_is_told_in_one_line(agent: Callable[[], Any], message: str) -> None:
    with pytest.raises(OpenRTCError, match=message):
        async with rehearse(runtime(agent), "desk", model=Script([])):
            pytest.fail("it has begun")


async def test_a_factory_that_blocks_is_broken_off_as_in_a_worker() -> None:
    config = Config(worker=WorkerSettings(break_seconds=1))
    blocked = build_runtime(config, specs=[AgentSpec(name="desk", agent=_block)], discovered=False)
    with pytest.raises(RehearsalError, match=r"failed: LoopBroken: blocked the loop for \d.\d s at .*test_rehearse.py"):
        async with rehearse(blocked, "desk", model=Script([])):
            pytest.fail("it has begun")


async def test_what_blocks_the_loop_is_told() -> None:
    def block() -> Agent:
        time.sleep(0.3)
        return Agent(instructions="Help.")

    async with rehearse(runtime(block), "desk", model=Script([])) as call:
        await asyncio.sleep(0.2)  # the loop notes that it runs again, then the watch tells
        (told,) = call.blocks
        assert told.seconds >= 0.2 and "test_rehearse.py" in told.place


async def test_a_key_that_a_factory_says_it_needs_is_made_up_and_not_where_the_own_model_is_used() -> None:
    async with rehearse(runtime(_need_key), "desk", model=Script(["Yes."])) as call:
        await call.run("Are you there?")
    with pytest.raises(RehearsalError, match="ValueError: set SOME_MODEL_API_KEY"):
        async with rehearse(runtime(_need_key), "desk", model=None):
            pytest.fail("it has begun")


async def test_without_the_offline_models_it_says_what_to_install() -> None:
    with pytest.raises(RehearsalError, match=r"no installed plugin brings 'offline:' \(.*openrtc-offline"):
        async with rehearse(runtime(), "desk"):
            pytest.fail("it has begun")


async def test_a_name_that_no_agent_has_and_an_entrypoint_are_told() -> None:
    async def entry(context: JobContext) -> None: ...

    with pytest.raises(OpenRTCError, match='there is no agent "dsk" \\(did you mean "desk"'):
        async with rehearse(runtime(), "dsk"):
            pass
    specs = [AgentSpec(name="entry", entrypoint=entry)]
    with pytest.raises(OpenRTCError, match="'entry' is a LiveKit entrypoint"):
        async with rehearse(build_runtime(Config(), specs=specs, discovered=False), "entry"):
            pass


async def test_a_cast_is_talked_to_with_a_script_for_each_member() -> None:
    members = [
        Member(role="host", agent=lambda: Agent(instructions="")),
        Member(role="guest", agent=lambda: Agent(instructions="")),
    ]
    cast = AgentSpec(name="show", cast=Cast(members=members, turn_budget=1))
    scripts = {"host": Script(["Good evening.", "Hello."], "host"), "guest": Script([], "guest")}

    def choose(call: Call) -> Script:
        return scripts[call.member.role]

    show = build_runtime(Config(), specs=[cast], discovered=False)
    async with rehearse(show, "show", model=choose) as call:
        assert call.said == [("host", "Good evening.")]
        result = await call.run("Hello")
        result.expect[-1].is_message(role="assistant")
        assert call.said[1:] == [("host", "Hello.")]
        assert sorted(call.sessions) == ["guest", "host"]


async def test_several_at_once_have_each_their_own_script() -> None:
    desk = runtime()

    async def talk(answer: str) -> str:
        async with rehearse(desk, "desk", model=Script([answer])) as call:
            await call.run("Who are you?")
            return call.said[-1][1]

    assert await asyncio.gather(*map(talk, ("one", "two", "three"))) == ["one", "two", "three"]


async def test_it_leaves_no_task_and_no_variable_behind() -> None:
    before, variables = asyncio.all_tasks(), dict(os.environ)
    async with rehearse(runtime(), "desk", model=Script(["Yes."])) as call:
        await call.run("Are you there?")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert dict(os.environ) == variables
