from __future__ import annotations

import pytest

from openrtc.errors import OpenRTCError
from openrtc.model.dispatch_names import WorkerNames

AGENTS = ("sales", "support")


@pytest.mark.parametrize(
    ("setting", "registered"),
    [
        ("", ("",)),
        ("automatic", ("",)),
        ("front", ("front",)),
        (" front , back,front", ("front", "back")),
        ("per-agent", AGENTS),
        ("front,per-agent", ("front", *AGENTS)),
        ("per-agent,automatic", ("", *AGENTS)),
        ("support,per-agent", ("support", "sales")),
    ],
)
def test_the_setting_says_under_which_names_a_worker_is_registered(setting: str, registered: tuple[str, ...]) -> None:
    assert WorkerNames.parse(setting).registered(AGENTS) == registered


@pytest.mark.parametrize(
    ("setting", "mixed"),
    [
        ("", False),
        ("per-agent", False),
        ("front,per-agent", False),
        ("automatic,per-agent", True),
        ("automatic,x", True),
    ],
)
def test_automatic_dispatch_beside_names_is_mixed(setting: str, mixed: bool) -> None:
    assert WorkerNames.parse(setting).mixed is mixed


@pytest.mark.parametrize(
    ("setting", "agent", "address"),
    [
        ("", "support", ("", {"openrtc.agent": "support"})),
        ("", "", ("", {})),
        ("front", "support", ("front", {"openrtc.agent": "support"})),
        ("front", "", ("front", {})),
        ("per-agent", "support", ("support", {})),
        ("front,per-agent", "support", ("support", {})),
        ("front,per-agent", "", ("front", {})),
    ],
)
def test_an_agent_is_asked_for_as_the_worker_is_registered(
    setting: str, agent: str, address: tuple[str, dict[str, str]]
) -> None:
    assert WorkerNames.parse(setting).address(agent) == address


def test_where_no_worker_would_choose_an_agent_one_must_be_named() -> None:
    with pytest.raises(OpenRTCError, match="which agent"):
        WorkerNames.parse("per-agent").address("")


def test_a_name_of_the_worker_chooses_no_agent_but_an_agents_own_name_does() -> None:
    assert WorkerNames.parse("front").choose_no_agent("front", AGENTS)
    assert WorkerNames.parse("support").choose_no_agent("support", AGENTS)
    assert not WorkerNames.parse("support,per-agent").choose_no_agent("support", AGENTS)
    assert not WorkerNames.parse("per-agent").choose_no_agent("support", AGENTS)
