"""What an agent is seen to lack before anybody calls it, and what it is not accused of."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from openrtc.plugins.lacks import find_lacks, is_on_cloud
from openrtc.settings.config import Config, SessionDefaults, WorkerSettings

if TYPE_CHECKING:
    from conftest import Site

HEAD = """
from livekit.agents import Agent, AgentSession, JobContext, inference
from livekit.plugins import fakeai
import somebody

class Base(Agent):
    def __init__(self, **more):
        super().__init__(instructions="Name no llm.", **more)

def options():
    return {"llm": fakeai.LLM(), "stt": fakeai.LLM(), "tts": fakeai.LLM()}
"""

FAKE_PLUGIN = '''
class LLM:
    """Needs nothing."""
    def __init__(self, model="", api_key=None, client=None):
        """``api_key`` must be given, or FAKEAI_API_KEY be set."""

    @staticmethod
    def with_other(deployment=""):
        """Reads OTHER_API_KEY."""
'''


@pytest.fixture(autouse=True)
def plugin(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of a model that needs a key, and somebody's library of agents."""
    site.add("livekit-plugins-fakeai", files={"fakeai.py": FAKE_PLUGIN})
    site.add("somebody", files={"somebody.py": "class Other: ...\ndef make(): ..."})
    module = import_module("fakeai")
    monkeypatch.setitem(sys.modules, "livekit.plugins.fakeai", module)
    monkeypatch.setattr(import_module("livekit.plugins"), "fakeai", module, raising=False)


def lacks(site: Site, body: str, config: Config | None = None, **environ: str) -> list[str]:
    site.add("pkg-a", agents={"desk": "pkg_a:desk"}, files={"pkg_a.py": f"{HEAD}\n{body}"})
    (agent,) = site.load().agents
    assert agent.usable, agent.reason
    return [one.what for one in find_lacks(agent, config or Config(), environ=environ)]


ALL = "stt and llm and tts"
AGENT = "class desk(Agent):\n    def __init__(self):\n        super().__init__(instructions='x'{})\n"

CASES = {
    "nothing": (AGENT.format(""), [ALL]),
    "a class of its own below": ("class desk(Base): ...", []),  # which hands on what it does not see
    "one": (AGENT.format(", tts=make()") + "def make(): ...", ["stt and llm"]),
    "none by name": (AGENT.format(", llm=None"), [ALL]),
    "a node": (AGENT.format("") + "    async def llm_node(self, *_): ...", ["stt and tts"]),
    "a sound of its own": (AGENT.format("") + "    async def on_enter(self): self.session.say('', audio=hum())", []),
    "a realtime model": (AGENT.format(", llm=somebody.RealtimeModel()"), []),
    "a key": (AGENT.format(", llm=fakeai.LLM()"), ["stt and tts", "FAKEAI_API_KEY, which fakeai.LLM needs"]),
    "a key that is given": (AGENT.format(", llm=fakeai.LLM(api_key='x')"), ["stt and tts"]),
    "a model made otherwise": (
        AGENT.format(", llm=fakeai.LLM.with_other()"),
        ["stt and tts", "OTHER_API_KEY, which fakeai.LLM.with_other needs"],
    ),
    "options of a function": (
        "def desk():\n    return Agent(instructions='x', **options())",
        ["FAKEAI_API_KEY, which fakeai.LLM needs"],
    ),
    "a model string": (
        AGENT.format(", stt='a', tts='a', llm='openai/gpt'"),
        ["LiveKit's Cloud, which alone has 'a' and 'openai/gpt'"],
    ),
    "inference": (
        AGENT.format(", llm=inference.LLM('openai/gpt')"),
        ["stt and tts", "LiveKit's Cloud, which alone has 'openai/gpt'"],
    ),
    "an agent that somebody makes": ("def desk():\n    return somebody.make()", []),
    "an agent of somebody's class": (AGENT.format("").replace("(Agent)", "(Agent, somebody.Other)"), []),
    "an entrypoint": (
        "async def desk(ctx: JobContext):\n    await AgentSession().start(Agent(instructions='x'))",
        [ALL],
    ),
    "an entrypoint with a model": (
        "async def desk(ctx: JobContext):\n    await AgentSession(tts=fakeai.LLM()).start(Agent(instructions='x'))",
        ["FAKEAI_API_KEY, which fakeai.LLM needs"],
    ),
}


@pytest.mark.parametrize(("body", "what"), CASES.values(), ids=CASES.keys())
def test_what_is_certain_is_said_and_nothing_else(site: Site, body: str, what: list[str]) -> None:
    assert lacks(site, body) == what


def test_settings_and_variables_give_what_an_agent_does_not_name(site: Site) -> None:
    body = AGENT.format(", llm=fakeai.LLM()")
    assert lacks(site, body, Config(defaults=SessionDefaults(offline=True)), FAKEAI_API_KEY="x") == []
    (agent,) = site.load().agents
    config = Config(defaults=SessionDefaults(stt="deepgram/nova-3", offline=True))
    environ = {"FAKEAI_API_KEY": "x"}
    assert [one.what for one in find_lacks(agent, config, offline=("llm",), environ=environ)] == [
        "tts",
        "LiveKit's Cloud, which alone has 'deepgram/nova-3'",
    ]
    hosted = Config(defaults=config.defaults, worker=WorkerSettings(url="wss://x.livekit.cloud"))
    assert [one.what for one in find_lacks(agent, hosted, environ=environ)] == []


def test_a_resource_that_nobody_brings_is_lacking(site: Site) -> None:
    body = "from openrtc import AgentSpec\ndesk = AgentSpec(agent=Base, resources=['index'])"
    assert lacks(site, body) == []
    (agent,) = site.load().agents
    assert find_lacks(agent, Config(), resources={"index"}) == ()
    (lack,) = find_lacks(agent, Config(), resources=())
    assert str(lack) == "the resource 'index', which no installed plugin brings (install a package that does)"


@pytest.mark.parametrize(
    ("url", "environ", "on"),
    [
        ("ws://127.0.0.1:7880", {}, False),
        ("wss://x.livekit.cloud", {}, True),
        ("wss://livekit.cloud.example.com", {}, False),
        ("", {"LIVEKIT_URL": "wss://x.livekit.cloud"}, True),
        ("ws://own.example.com", {"LIVEKIT_INFERENCE_API_KEY": "k"}, True),
    ],
)
def test_models_of_the_cloud_are_served_there_or_with_a_key_of_theirs(
    url: str, environ: dict[str, str], on: bool
) -> None:
    assert is_on_cloud(url, environ) is on
