"""Which options a session gets: what outweighs what."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, llm, vad

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.model.decision import Decision
from openrtc.model.hookspecs import hookimpl
from openrtc.model.request import RouteRequest
from openrtc.plugins.hooks import Hooks
from openrtc.runtime.providers import Providers
from openrtc.session import cleanup
from openrtc.session.options import build_session
from openrtc.settings.config import Config, SessionDefaults

CALL = Call(job_id="j", agent_name="a", request=RouteRequest(room_name="r"), decision=Decision.to("a"))


class Detector(vad.VAD):
    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.1))

    def stream(self) -> Any:
        raise NotImplementedError


class Mute(llm.LLM[str]):
    def chat(self, **options: Any) -> llm.LLMStream:
        raise NotImplementedError


OF_OPTIONS, OF_HOOK, OF_SPEC, OF_DEFAULTS, OF_RESOURCES = (Detector() for _ in range(5))


def plugin(name: str, options: Any) -> Any:
    @hookimpl
    def openrtc_session_options() -> Any:
        return options

    target = SimpleNamespace(openrtc_session_options=openrtc_session_options)
    return SimpleNamespace(name=name, distribution=name, target=target)


async def built(*plugins: Any, defaults: Any = None, resources: Any = None, **spec: Any) -> AgentSession[Any]:
    runtime: Any = SimpleNamespace(
        config=Config(defaults=SessionDefaults(**(defaults or {}))),
        hooks=Hooks(plugins),
        providers=Providers(Hooks()),
        resources=resources or {},
        find_lacks=lambda _: (),
    )
    agent_spec = AgentSpec(name="a", agent=Agent, llm=Mute(), **spec)
    session, _, _ = await build_session(agent_spec, Agent(instructions="x"), CALL, runtime, text_only=False)
    return session


@pytest.mark.parametrize("weaker", range(5))
async def test_voice_activity_detection_comes_from_options_hooks_spec_settings_and_resources(weaker: int) -> None:
    """The strongest of the sources from ``weaker`` on counts."""
    detectors = [OF_OPTIONS, OF_HOOK, OF_SPEC, OF_DEFAULTS, OF_RESOURCES]
    of_options, of_hook, of_spec, of_defaults, of_resources = [None] * weaker + detectors[weaker:]
    session = await built(
        *([plugin("p", {"vad": of_hook})] if of_hook else []),
        defaults={"vad": of_defaults},
        resources={"vad": of_resources},
        vad=of_spec,
        session_options={"vad": of_options} if of_options else {},
    )
    assert session.vad is detectors[weaker]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"spec": "vad", "options": "stt", "hook": "manual"}, "vad"),
        ({"options": "stt", "hook": "manual", "defaults": "vad"}, "stt"),
        ({"hook": "manual", "defaults": "vad", "resources": "stt"}, "manual"),
        ({"defaults": "vad", "resources": "stt"}, "vad"),
        ({"resources": "stt"}, "stt"),
    ],
)
async def test_turn_detection_comes_from_spec_options_hooks_settings_and_resources(
    sources: dict[str, Any], expected: str
) -> None:
    def turn(source: str) -> dict[str, Any]:
        return {"turn_handling": {"turn_detection": sources[source]}} if source in sources else {}

    session = await built(
        plugin("p", turn("hook")),
        defaults={"turn_detection": sources.get("defaults")},
        resources={"turn_detection": sources.get("resources")},
        turn_detection=sources.get("spec"),
        session_options=turn("options"),
    )
    assert session.turn_detection == expected


async def test_any_other_option_is_the_specs_else_that_of_the_first_plugin(caplog: pytest.LogCaptureFixture) -> None:
    first, second = plugin("one", {"max_tool_steps": 7}), plugin("two", {"max_tool_steps": 8, "user_away_timeout": 9.0})
    session = await built(first, second, plugin("bad", ["x"]), session_options={"user_away_timeout": 4.0})
    assert (session.options.max_tool_steps, session.options.user_away_timeout) == (7, 4.0)
    assert "'max_tool_steps' comes from one; that of two is ignored" in caplog.text
    assert "bad: openrtc_session_options returned ['x'], not a mapping" in caplog.text


async def test_a_detector_that_is_given_as_a_factory_is_built_for_each_session() -> None:
    resources = {"vad": Detector}
    assert (await built(resources=resources)).vad is not (await built(resources=resources)).vad


async def test_options_of_turns_are_merged_one_by_one() -> None:
    of_plugin = plugin("p", {"turn_handling": {"turn_detection": "stt"}})
    session = await built(of_plugin, session_options={"turn_handling": {"preemptive_generation": {"enabled": False}}})
    assert session.turn_detection == "stt"
    assert session.options.turn_handling["preemptive_generation"]["enabled"] is False


async def test_userdata_is_made_for_each_session_also_by_a_coroutine() -> None:
    async def make() -> dict[str, str]:
        return {}

    for maker in (dict, make):
        first, second = [await built(session_options={"userdata": maker}) for _ in range(2)]
        assert first.userdata == {}
        assert first.userdata is not second.userdata


async def test_userdata_that_is_made_only_once_fails_the_second_call() -> None:
    only: dict[str, str] = {}

    def make() -> dict[str, str]:
        return only

    await built(session_options={"userdata": make})
    with pytest.raises(OpenRTCError, match=r"a: .*make\(\) gave the same dict as userdata of two calls.*make a new"):
        await built(session_options={"userdata": make})


async def test_what_makes_the_userdata_may_return_what_nobody_can_change() -> None:
    assert [(await built(session_options={"userdata": lambda: "eu"})).userdata for _ in range(2)] == ["eu", "eu"]


async def test_what_makes_the_userdata_has_limited_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def make() -> None:
        await asyncio.sleep(10)

    monkeypatch.setattr(cleanup, "BUILD_SECONDS", 0.01)
    with pytest.raises(OpenRTCError, match="agent 'a' was not built within"):
        await built(session_options={"userdata": make})


async def test_a_plugin_that_gives_one_userdata_to_all_calls_is_told_and_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    of_plugin = plugin("sharing", {"userdata": {}, "max_tool_steps": 7})
    await built(of_plugin)
    session = await built(of_plugin)
    assert session.options.max_tool_steps == 3
    assert "sharing: openrtc_session_options: sharing: the option gave the same dict as userdata" in caplog.text


async def test_no_session_extends_the_lists_of_another() -> None:
    tools: list[Any] = []
    turn = {"preemptive_generation": {"enabled": False}}
    first = await built(session_options={"tools": tools, "turn_handling": turn})
    first.tools.append(llm.function_tool(_look_up))
    second = await built(session_options={"tools": tools, "turn_handling": turn})
    assert (tools, second.tools) == ([], [])


async def _look_up() -> str:
    """Look it up."""
    return ""
