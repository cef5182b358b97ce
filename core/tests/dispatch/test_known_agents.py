from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from openrtc.dispatch.known_agents import require_known_agents
from openrtc.errors import OpenRTCError
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site

ONLY = Config(policy=Policy(allow=("pkg-a", "pkg-b", "pkg-c")))
CRASHES = {"pkg_a.py": "raise SystemExit('nobody may import this')"}


def problem(*names: str) -> str:
    with pytest.raises(OpenRTCError) as raised:
        require_known_agents(names, ONLY, origin="--agent")
    return str(raised.value)


def test_an_installed_agent_is_known_without_being_imported(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support"}, files=CRASHES)
    require_known_agents(["helpdesk"], ONLY, origin="--agent")


def test_a_mistyped_name_is_told_with_the_one_that_was_meant(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support"}, files=CRASHES)
    assert problem("helpdesk", "helpdsk") == (
        '--agent: there is no agent "helpdsk" (did you mean "helpdesk"?; --any takes a name as it is)'
    )


def test_an_agent_that_cannot_be_used_is_told_with_the_reason(site: Site) -> None:
    site.add("pkg-a", agents={"twin": "pkg_a:A"})
    site.add("pkg-b", agents={"twin": "pkg_b:B"})
    assert problem("twin").startswith('--agent: agent "twin" is conflict: ')


HOOK_MODULE = {
    "pkg_c.py": """
        from livekit.agents import Agent
        from openrtc import AgentSpec, hookimpl

        @hookimpl
        def openrtc_agents():
            return [AgentSpec(name="tim", agent=lambda: Agent(instructions="x"))]
    """
}


@pytest.mark.process
def test_agents_that_only_an_import_shows_are_known(site: Site) -> None:
    site.add("pkg-a", agents={"helpdesk": "pkg_a:Support"}, files=CRASHES)
    site.add("pkg-c", agents={"pack": "pkg_c"}, files=HOOK_MODULE)
    assert (
        problem("tim", "helpdesk", "tym")
        == '--agent: there is no agent "tym" (did you mean "tim"?; --any takes a name as it is)'
    )


def test_agents_in_code_are_known() -> None:
    require_known_agents(["mine"], ONLY, origin="--agent", in_code=["mine"])
