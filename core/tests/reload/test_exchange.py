"""A session gets the agent of the new code between two turns, with the conversation; nothing of it is said aloud."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from livekit.agents import AgentSession, llm

from openrtc.catalog.catalog import Catalog
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call
from openrtc.reload import exchange as exchanging
from openrtc.reload import identity
from openrtc.reload.exchange import NotExchanged, TurnWatch, exchange, is_outdated, try_to_build
from openrtc.reload.identity import note_reloaded
from openrtc.runtime.live_session import LiveSession

SOURCE = """
from livekit.agents import Agent, AgentTask, function_tool

ENTERED, LEFT = [], []

class Desk(Agent):
    VERSION = 1

    def __init__(self):
        super().__init__(instructions="version 1")
        self.seen = 0

    async def on_enter(self):
        ENTERED.append(type(self).__name__)

    async def on_exit(self):
        LEFT.append(type(self).__name__)

    @function_tool
    async def price(self) -> str:
        '''Tell the price.'''
        return "1"

    async def llm_node(self, chat_ctx, tools, model_settings):
        return f"version {self.VERSION}"

class Billing(Desk):
    def __init__(self, order):
        super().__init__()
        self.order = order

class Second(Desk):
    pass
"""


def load(source: str = SOURCE) -> Any:
    module = sys.modules["of_a_package"] = ModuleType("of_a_package")
    exec(source, vars(module))
    return module


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(identity, "_reloaded", set())
    yield load()
    del sys.modules["of_a_package"]


class UnaskedLLM(llm.LLM[Any]):
    """Stands there, since an agent that answers itself needs one, too."""

    def chat(self, **options: Any) -> llm.LLMStream:
        """Is never called."""
        raise NotImplementedError


class Held:
    """A session that talks in text, and what it would be built by now."""

    def __init__(self, package: Any, **options: Any) -> None:
        self.spec = AgentSpec(name="desk", agent=package.Desk)
        self.agent = package.Desk()
        self.session: AgentSession[Any] = AgentSession(llm=UnaskedLLM(), **options)
        call = SimpleNamespace(job_id="J", agent_name="desk")
        self.live: LiveSession | None = None
        self._call = cast(Call, call)

    async def start(self) -> LiveSession:
        await self.session.start(self.agent)
        self.live = LiveSession(
            session=self.session,
            agent=self.agent,
            spec=AgentSpec(name="desk", agent=type(self.agent)),
            call=self._call,
            find_spec=lambda _: self.spec,
        )
        return self.live

    def reload(self, source: str) -> Any:
        """Have other code, as after a reload."""
        new = load(source)
        note_reloaded(["of_a_package"])
        self.spec = AgentSpec(name="desk", agent=new.Desk)
        return new

    async def exchange(self) -> bool:
        assert self.live
        return await exchange(self.live, TurnWatch(self.live), Catalog)

    async def ask(self) -> str:
        """Return what is answered."""
        await self.session.run(user_input="which version are you")
        return str(self.session.history.items[-1].text_content)  # type: ignore[union-attr]  # it is a message


async def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds; the test's own limit ends the wait."""
    while not holds():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.01)


@asynccontextmanager
async def hold(package: Any, **options: Any) -> AsyncIterator[Held]:
    held = Held(package, **options)
    await held.start()
    await asyncio.sleep(0)
    try:
        yield held
    finally:
        await held.session.aclose()


NEW = SOURCE.replace("VERSION = 1", "VERSION = 2").replace("version 1", "version 2").replace("def price", "def cost")


async def test_the_new_agent_goes_on_with_the_conversation_and_greets_nobody(old: Any) -> None:
    async with hold(old) as held:
        assert await held.ask() == "version 1"
        new = held.reload(NEW)
        assert await held.exchange()
        current = held.session.current_agent
        assert type(current) is new.Desk and current.instructions == "version 2"
        assert [tool.id for tool in current.tools] == ["cost"]
        said = [
            item.text_content for item in current.chat_ctx.items if item.type == "message" and item.role != "system"
        ]
        assert said == ["which version are you", "version 1"]
        assert await held.ask() == "version 2"
        assert new.ENTERED == [] and old.ENTERED == ["Desk"] and old.LEFT == []
        assert not await held.exchange(), "there is nothing more"


async def test_on_reload_gets_the_old_agent_as_one_of_the_new_package(old: Any) -> None:
    async with hold(old) as held:
        held.agent.seen = 7
        reloading = NEW + "\n    async def on_reload(self, old):\n        self.seen = old.seen + 1\n"
        held.reload(reloading.replace("class Second(Desk):\n    pass", "").rstrip() + "\n")
        sys.modules["of_a_package"].Desk.on_reload = sys.modules["of_a_package"].Billing.__dict__["on_reload"]
        assert await held.exchange()
        assert held.session.current_agent.seen == 8  # type: ignore[attr-defined]  # of its class


@pytest.mark.parametrize("where", ["init", "on_reload"])
async def test_an_agent_that_cannot_be_made_leaves_the_call_with_the_old_one(old: Any, where: str) -> None:
    async with hold(old) as held:
        new = held.reload(NEW.replace("self.seen = 0", "1 / 0") if where == "init" else NEW)
        if where == "on_reload":
            new.Desk.on_reload = lambda self, old: 1 / 0
        else:
            assert held.live
            with pytest.raises(ZeroDivisionError):
                await try_to_build(held.live, Catalog())
        with pytest.raises(NotExchanged, match=r"ZeroDivisionError: division by zero at \S+:\d+"):
            await held.exchange()
        assert held.session.current_agent is held.agent
        assert await held.ask() == "version 1"


async def test_an_agent_that_another_one_has_handed_over_to_is_exchanged_for_its_own_new_class(old: Any) -> None:
    async with hold(old) as held:
        billing = old.Billing("order 5")
        held.session.update_agent(billing)
        await wait_until(lambda: "Billing" in old.ENTERED)
        new = held.reload(NEW)
        assert await held.exchange()
        current = held.session.current_agent
        assert current is billing and type(current) is new.Billing, "it needs what only that one knew"
        assert current.order == "order 5" and [tool.id for tool in current.tools] == ["cost"]
        assert await held.ask() == "version 2"
        assert held.live and not is_outdated(held.live, Catalog())
        held.session.update_agent(held.agent)  # the old one, which somebody has kept
        await wait_until(lambda: old.ENTERED.count("Desk") == 2)
        assert is_outdated(held.live, Catalog())
        assert await held.exchange() and type(held.session.current_agent) is new.Desk


async def test_an_agent_that_needs_nothing_is_made_anew_after_a_hand_off(old: Any) -> None:
    async with hold(old) as held:
        second = old.Second()
        held.session.update_agent(second)
        await wait_until(lambda: "Second" in old.ENTERED)
        new = held.reload(NEW)
        assert await held.exchange()
        assert type(held.session.current_agent) is new.Second
        assert held.session.current_agent.instructions == "version 2"


async def test_it_waits_until_nobody_speaks_or_waits_for_an_answer(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hold(old) as held:
        assert held.live
        watch = TurnWatch(held.live)
        assert bool(watch.is_between)
        changed: Callable[[str, str], None] = lambda before, after: held.session.emit(  # noqa: E731
            "user_state_changed", cast(Any, SimpleNamespace(old_state=before, new_state=after))
        )
        changed("listening", "speaking")
        changed("speaking", "listening")
        assert bool(watch.is_between) is False, "the end of the turn is not told yet"
        held.session.emit(
            "agent_state_changed", cast(Any, SimpleNamespace(old_state="listening", new_state="speaking"))
        )
        assert bool(watch.is_between), "it is answered"
        changed("listening", "speaking")
        monkeypatch.setattr(exchanging, "LATE_ANSWER_SECONDS", 0.0)
        assert bool(watch.is_between), "nobody has answered, and nobody will"


async def test_a_session_that_is_never_silent_keeps_its_agent(old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanging, "WAIT_FOR_SILENCE_SECONDS", 0.05)
    async with hold(old) as held:
        assert held.live
        held.live.is_idle = lambda: False
        held.reload(NEW)
        with pytest.raises(NotExchanged, match="the next call has the new code"):
            await held.exchange()
        assert held.session.current_agent is held.agent


async def test_a_session_that_closes_is_left_alone(old: Any) -> None:
    async with hold(old) as held:
        assert held.live
        held.live.is_idle = lambda: False
        held.reload(NEW)
        waiting = asyncio.create_task(held.exchange())
        await asyncio.sleep(0.05)
        await held.session.aclose()
        with pytest.raises(NotExchanged, match="it has ended"):
            await asyncio.wait_for(waiting, 5.0)


async def test_userdata_is_of_the_new_classes(old: Any) -> None:
    source = SOURCE + "\nclass State:\n    pass\n"
    old = load(source)
    async with hold(old, userdata=old.State()) as held:
        new = held.reload(source.replace("VERSION = 1", "VERSION = 2"))
        assert await held.exchange()
        assert isinstance(held.session.userdata, new.State)
