"""What the calls of a process share changes in one place only: when resources are missing at the start."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from livekit.agents import Agent

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec, Cast, Member
from openrtc.model.call_limits import CallLimits
from openrtc.model.status import State
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy, SessionDefaults

if TYPE_CHECKING:
    from conftest import Site


class Bot(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="x")


def runtime_of(*specs: AgentSpec, **config: Any) -> Runtime:
    return build_runtime(Config(**config), specs=specs, discovered=False)


def spec(name: str, **options: Any) -> AgentSpec:
    return AgentSpec(name=name, agent=Bot, **options)


async def test_an_agent_whose_resource_is_missing_is_broken_after_the_start(caplog: pytest.LogCaptureFixture) -> None:
    runtime = runtime_of(spec("needy", resources=["faq"]), spec("plain"))
    before = runtime.catalog
    with caplog.at_level(logging.ERROR):
        await runtime.start()
    assert runtime.catalog.ready == ("plain",) and before.ready == ("needy", "plain")
    assert runtime.catalog.get("needy").state is State.BROKEN
    assert "agent 'needy' cannot serve: no installed plugin brings the resource 'faq'" in caplog.text


async def test_a_runtime_that_misses_nothing_keeps_its_catalog_and_router() -> None:
    runtime = runtime_of(spec("plain"))
    catalog, router = runtime.catalog, runtime.router
    await runtime.start()
    assert runtime.catalog is catalog and runtime.router is router


def test_other_settings_make_another_runtime_with_the_same_calls() -> None:
    runtime = runtime_of(spec("plain"))
    other = replace(runtime, config=Config(defaults=SessionDefaults(greeting="hello")))
    assert runtime.config.defaults.greeting == "" and other.config.defaults.greeting == "hello"
    assert other.live is runtime.live and other.events is runtime.events


def test_a_setting_in_use_that_goes_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    line = "openrtc.toml:3: [worker] old goes in 0.5: use [worker] new"
    build_runtime(Config(deprecations=(line,)), discovered=False)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("WARNING", line)]


def test_the_operators_session_limit_outweighs_the_packages() -> None:
    limits = {"small": CallLimits(sessions=5), "free": CallLimits(minutes=1)}
    runtime = runtime_of(spec("small", max_sessions=2), spec("free"), limits=limits)
    assert (runtime.get_session_limit("small"), runtime.get_session_limit("free")) == (5, None)
    assert runtime.list_call_limits(["free"]) == [CallLimits(minutes=1)]
    assert runtime_of(spec("small", max_sessions=2)).get_session_limit("small") == 2


def test_offline_models_without_their_plugin_are_refused_at_the_start() -> None:
    with pytest.raises(OpenRTCError, match=r"--offline: the offline models cannot be used.*openrtc-offline"):
        runtime_of(spec("plain"), defaults=SessionDefaults(offline=True))


def test_offline_models_that_the_operator_does_not_allow_are_not_to_be_installed_again(site: Site) -> None:
    site.add("openrtc-offline", plugins={"offline": "off_mod"}, files={"off_mod.py": ""})
    config = Config(defaults=SessionDefaults(offline=True), policy=Policy(allow=("pkg-a",)))
    line = r'openrtc-offline is not-allowed: not in the allow list \(add "openrtc-offline" to allow\)'
    with pytest.raises(OpenRTCError, match=line):
        build_runtime(config)


def test_offline_models_of_which_a_kind_is_missing_are_a_warning_and_the_others_are_used(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    source = """
        from openrtc import hookimpl

        class Offline:
            def available(self):
                return None

            def missing(self, kind):
                return "no ears; text works" if kind == "stt" else None

        @hookimpl
        def openrtc_providers():
            return {"offline": Offline()}
    """
    site.add("ears-pkg", plugins={"ears": "ears_pkg"}, files={"ears_pkg.py": source})
    config = Config(policy=Policy(allow=("ears-pkg",)), defaults=SessionDefaults(offline=True))
    with caplog.at_level("WARNING", "openrtc"):
        build_runtime(config)
    assert [record.getMessage() for record in caplog.records if "offline" in record.getMessage()] == [
        "--offline: no stt where neither the agent nor [defaults] names one: no ears; text works"
    ]


async def test_each_agent_is_described_with_what_it_is_and_the_members_of_its_cast() -> None:
    cast = Cast(members=[Member(role="lead", agent="ann"), Member(role="driver", agent="chris")])
    ann, chris, needy = spec("ann", display_name="Ann"), spec("chris"), spec("needy", resources=["faq"])
    pair = AgentSpec(name="pair", cast=cast)
    runtime = runtime_of(ann, chris, pair, needy)
    await runtime.start()
    rows = {row["name"]: row for row in runtime.describe_agents()}
    assert [rows[name]["shape"] for name in ("ann", "pair")] == ["agent", "cast"]
    assert rows["pair"]["members"] == [
        {"role": "lead", "name": "Ann", "agent": "ann"},
        {"role": "driver", "name": "chris", "agent": "chris"},
    ]
    assert rows["ann"]["members"] == rows["needy"]["members"] == []
    assert rows["needy"]["state"] == "broken" and "faq" in rows["needy"]["reason"]
