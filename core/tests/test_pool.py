from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from livekit.agents import Agent

from openrtc import AgentPool, AgentSpec, OpenRTCError, SessionInfo, SessionOutcome
from openrtc.cli.main import main
from openrtc.model.call_limits import CallLimits
from openrtc.model.request import RouteRequest
from openrtc.plugins.observers import Observers
from openrtc.settings.config import Config, WorkerSettings

if TYPE_CHECKING:
    from conftest import Site


class Support(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="x")


def make_sales() -> Agent:
    return Support()


def test_agents_are_added_listed_and_removed_in_order() -> None:
    pool = AgentPool().add("support", Support, greeting="Hello.").add("sales", make_sales)
    assert pool.list_agents() == ["support", "sales"]
    assert pool.get("support").greeting == "Hello."
    assert pool.remove("support").agent is Support
    assert pool.list_agents() == ["sales"]


def test_a_spec_takes_the_name_that_it_is_added_under() -> None:
    spec = AgentSpec(name="other", agent=Support, llm="a/b")
    assert AgentPool().add("support", spec, llm="c/d").get("support") == AgentSpec(
        name="support", agent=Support, llm="c/d"
    )


@pytest.mark.parametrize("bad", [Support(), object(), "support", int])
def test_what_is_no_agent_is_refused_in_one_line(bad: object) -> None:
    with pytest.raises(OpenRTCError) as raised:
        AgentPool().add("support", bad)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_a_name_can_be_added_once() -> None:
    with pytest.raises(OpenRTCError, match="registered already"):
        AgentPool().add("support", Support).add("support", make_sales)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(OpenRTCError, match="there are: support"):
        AgentPool().add("support", Support).get("sales")


def test_an_unknown_option_of_an_agent_is_a_clear_error() -> None:
    with pytest.raises(OpenRTCError, match="greting"):
        AgentPool().add("support", Support, greting="Hello.")


@pytest.mark.parametrize("name", ["", "two words", "slash/ed"])
def test_a_name_that_no_room_could_carry_is_refused(name: str) -> None:
    with pytest.raises(OpenRTCError, match="name"):
        AgentPool().add(name, Support)


def test_an_unknown_isolation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OpenRTCError, match="coroutine, thread, process"):
        AgentPool(isolation="fiber")


def test_settings_of_the_operator_weigh_more_than_the_pools() -> None:
    pool = AgentPool(max_sessions=3, isolation="thread", llm="a/b", greeting="Hi.")
    configured = pool.configure(Config(worker=WorkerSettings(max_sessions=7)))
    assert (configured.worker.max_sessions, configured.worker.isolation) == (7, "thread")
    assert (configured.defaults.llm, configured.defaults.greeting) == ("a/b", "Hi.")


def test_what_was_given_is_no_default_though_it_is_the_usual_value() -> None:
    configured = AgentPool(port=8081).configure(Config())
    assert configured.with_worker_defaults(port=0).worker.port == 8081
    assert AgentPool().configure(Config()).with_worker_defaults(port=0).worker.port == 0


def test_list_agents_shows_the_agents_of_the_program(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    site.add("installed-one", agents={"installed": "m:C", "till": "m:C"})
    pool = AgentPool().add("help", Support).add("till", make_sales, isolation="process")
    assert main(["list-agents"], pool=pool) == 0
    alone = capsys.readouterr().out
    assert re.search(r"^ help +ready +this program", alone, re.MULTILINE)
    assert "(isolation: process)" in alone and "installed-one" not in alone
    assert main(["list-agents"], pool=pool.discover()) == 0
    beside = capsys.readouterr().out
    assert re.search(r"^ help +ready +this program", beside, re.MULTILINE)
    assert re.search(r"^ installed +installed +installed-one", beside, re.MULTILINE)
    assert re.search(r"^ till +conflict +this program", beside, re.MULTILINE)


def test_route_knows_the_agents_and_the_router_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    def choose(request: RouteRequest) -> str | None:
        return "till" if request.room_name == "bill" else None

    pool = AgentPool(router=choose).add("help", Support).add("till", make_sales, isolation="process")
    for room, said in (("bill", "till by this program:choose"), ("x", "help by default")):
        assert main(["route", "--room", room], pool=pool) == 0
        assert said in capsys.readouterr().out


def test_arguments_of_another_project_of_that_name_are_taken_by_its_names() -> None:
    pool = AgentPool(
        agents={"support": Support},
        default_llm="a/b",
        default_greeting="Hi.",
        max_concurrent_sessions=9,
        drain_timeout=30,
        memory_limit_mb=900.0,
        max_sessions_per_agent={"support": 3},
        backend="livekit",
        enable_uvloop=True,
        observers=None,
    )
    configured = pool.configure(Config(limits={"sales": CallLimits(sessions=2), "support": CallLimits(minutes=0.5)}))
    assert pool.list_agents() == ["support"]
    assert (configured.defaults.llm, configured.defaults.greeting) == ("a/b", "Hi.")
    assert (configured.worker.max_sessions, configured.worker.drain_timeout) == (9, 30)
    assert configured.worker.memory_limit == 900
    assert configured.limits == {"support": CallLimits(sessions=3, minutes=0.5), "sales": CallLimits(sessions=2)}


class Ledger:
    """An observer, as one would write it for openrtc 0.20."""

    async def on_session_end(self, info: SessionInfo, outcome: SessionOutcome) -> None:
        """Learn of an end."""


def test_observers_are_given_or_added() -> None:
    ledger, other = Ledger(), Ledger()
    pool = AgentPool(agent=Support, observers=(ledger,), deployment_version="v7")
    pool.add_observer(other)
    assert pool.runtime_arguments["observers"] == Observers((ledger, other), "v7")


@pytest.mark.parametrize(
    ("observers", "line"),
    [
        ([Ledger], "AgentPool: observers holds the class Ledger (make one: Ledger())"),
        ([3], "AgentPool: int is no observer (an observer has on_session_start(info, session) or on_session_end("),
        (Ledger(), "AgentPool: observers is <"),
    ],
)
def test_what_is_no_observer_is_said(observers: Any, line: str) -> None:
    with pytest.raises(OpenRTCError) as raised:
        AgentPool(agent=Support, observers=observers)
    assert str(raised.value).startswith(line)


def test_arguments_that_there_are_not_are_all_named_with_what_to_use() -> None:
    with pytest.raises(OpenRTCError) as raised:
        AgentPool(tenant_config={}, request_fnc=print, max_sesions=3, watch_paths=None)
    assert str(raised.value) == (
        "AgentPool: there is no argument tenant_config (an agent for each tenant, and a router), "
        'request_fnc (on_request= in add()), max_sesions (did you mean "max_sessions"?)'
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"max_sessions": 0}, "AgentPool: max_sessions must be"),
        ({"max_sessions_per_agent": {"support": 0}}, "AgentPool: limits"),
        ({"default_llm": "a/b", "llm": "c/d"}, "AgentPool: default_llm and llm are the same"),
        ({"agent": Support, "agents": {"default": Support}}, "AgentPool: give agent or agents"),
    ],
)
def test_a_wrong_value_is_one_line(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(OpenRTCError) as raised:
        AgentPool(**arguments)
    assert str(raised.value).startswith(line)
