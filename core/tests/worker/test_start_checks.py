from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.settings.config import Config, Policy, RoutingSettings, WorkerSettings
from openrtc.worker.start_checks import require_distributions, warn_of_chance_default, warn_of_open_choice

if TYPE_CHECKING:
    from conftest import Site


@pytest.fixture
def two(site: Site, agent_source: str) -> Site:
    """Two installed packages with an agent each."""
    for name in ("pkg-a", "pkg-b"):
        module = name.replace("-", "_")
        site.add(name, agents={f"the-{name}": f"{module}:Support"}, files={f"{module}.py": agent_source})
    return site


def runtime(*allow: str, specs: tuple[AgentSpec, ...] = (), agent_name: str = "", **routing: object) -> Runtime:
    config = Config(
        policy=Policy(allow=allow),
        worker=WorkerSettings(agent_name=agent_name),
        routing=RoutingSettings(**routing),  # type: ignore[arg-type]
    )
    return build_runtime(config, specs=specs)


def warnings(runtime: Runtime, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level("WARNING", "openrtc"):
        warn_of_chance_default(runtime)
    return [record.getMessage() for record in caplog.records]


def make() -> None: ...


@pytest.mark.usefixtures("two")
def test_a_default_that_the_next_pip_install_may_change_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = warnings(runtime("pkg-a", "pkg-b"), caplog)
    assert line.startswith("calls that no rule decides go to the first of 2 agents, now the-pkg-a, and the next pip")
    assert '[routing] default = "the-pkg-a"' in line
    assert warnings(runtime("pkg-a", "pkg-b", agent_name="desk"), caplog)
    assert warnings(runtime("pkg-a", "pkg-b", agent_name="per-agent,automatic"), caplog)


@pytest.mark.usefixtures("two")
def test_where_nothing_is_left_to_chance_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    both = ("pkg-a", "pkg-b")
    assert not warnings(runtime("pkg-a"), caplog)
    assert not warnings(runtime(*both, default="the-pkg-b"), caplog)
    assert not warnings(runtime(*both, order=("room.agent", "room.prefix")), caplog)
    assert not warnings(runtime(*both, agent_name="per-agent"), caplog)
    assert not warnings(runtime(*both, specs=(AgentSpec(name="mine", agent=make),)), caplog)
    assert not warnings(runtime(specs=(AgentSpec(name="mine", agent=make),)), caplog)


@pytest.mark.usefixtures("two")
def test_a_required_distribution_whose_agent_lost_its_resource_does_not_start() -> None:
    config = Config(policy=Policy(allow=("pkg-a", "pkg-b"), require=("pkg-a", "pkg-b>=1")))
    built = build_runtime(config)
    require_distributions(built)
    built.mark_broken({"the-pkg-b": "no voice"}, fix="openrtc plugins")
    with pytest.raises(OpenRTCError, match="require names pkg-b>=1, of which the-pkg-b is broken: no voice"):
        require_distributions(built)


def test_where_no_package_is_looked_for_none_is_required() -> None:
    config = Config(policy=Policy(require=("gone-agent",)))
    require_distributions(build_runtime(config, specs=(AgentSpec(name="mine", agent=make),), discovered=False))


@pytest.mark.usefixtures("two")
def test_what_callers_may_choose_is_warned_of_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def warned(*allow: str, **routing: Any) -> list[str]:
        caplog.clear()
        with caplog.at_level("WARNING", "openrtc"):
            warn_of_open_choice(runtime(*allow, **routing))
        return [record.getMessage() for record in caplog.records]

    (line,) = warned("pkg-a", "pkg-b")
    assert line.startswith("whoever writes the room name, room metadata, the metadata of a dispatch or an attribute of")
    assert "[routing] signed = true, prefix_agents = [...]" in line
    (line,) = warned("pkg-a", "pkg-b", signed=True)
    assert line.startswith("whoever writes the room name may") and "[routing] prefix_agents = [...]" in line
    assert not warned("pkg-a", "pkg-b", signed=True, prefix_agents=())
    assert not warned("pkg-a"), "there is nothing to choose"
