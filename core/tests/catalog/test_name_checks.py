from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.catalog.name_checks import check_agent_names, check_distribution_names
from openrtc.errors import OpenRTCError
from openrtc.model.call_limits import CallLimits
from openrtc.settings.config import SETTINGS, Config, Policy, RoutingSettings
from openrtc.settings.load import load_config

if TYPE_CHECKING:
    from conftest import Site

KNOWN = ("support", "sales")


def warnings(config: Config, known: tuple[str, ...] = KNOWN) -> list[str]:
    shown: list[str] = []
    check_agent_names(config, known, shown.append)
    return shown


def error(config: Config) -> str:
    with pytest.raises(OpenRTCError) as raised:
        warnings(config)
    return str(raised.value)


def test_names_in_the_policy_that_match_nothing_are_warned_about(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"})
    policy = Policy(allow=("my-agnt", "my-agent"), deny=("zzz",), prefer={"a": "nobody"})
    shown: list[str] = []
    check_distribution_names(Config(policy=policy), site.entries(), shown.append)
    assert shown == [
        (
            '[plugins] allow names the distribution "my-agnt", which brings no installed agent or plugin '
            '(did you mean "my-agent"?)'
        ),
        '[plugins] deny names the distribution "zzz", which brings no installed agent or plugin (there are: my-agent)',
        (
            '[plugins] prefer names the distribution "nobody", which brings no installed agent or plugin '
            "(there are: my-agent)"
        ),
    ]


def test_names_that_agents_have_are_no_problem() -> None:
    config = Config(
        routing=RoutingSettings(default="support", prefix_agents=("sales",)),
        limits={"sales": CallLimits(sessions=2)},
        isolation={"support": "process"},
    )
    assert warnings(config) == []
    assert warnings(Config()) == []


def test_an_agent_that_does_not_exist_is_a_warning_with_the_nearest_name() -> None:
    config = Config(
        limits={"suport": CallLimits(sessions=2)},
        routing=RoutingSettings(prefix_agents=("support", "zzz"), room_metadata_agents=("sale",)),
    )
    assert warnings(config) == [
        '[routing] prefix_agents names the agent "zzz", which does not exist (there are: sales, support)',
        '[routing] room_metadata_agents names the agent "sale", which does not exist (did you mean "sales"?)',
        '[limits] names the agent "suport", which does not exist (did you mean "support"?)',
    ]
    assert warnings(Config(limits={"x": CallLimits(sessions=1)}), ()) == [
        '[limits] names the agent "x", which does not exist (none is installed)'
    ]


@pytest.mark.parametrize("name", ["suport", "zzz"])
def test_an_unknown_default_agent_is_always_an_error(name: str) -> None:
    assert f'[routing] default names the agent "{name}", which does not' in error(
        Config(routing=RoutingSettings(default=name))
    )


def test_an_isolation_of_an_unknown_agent_is_an_error_where_it_may_be_a_slip_of_the_pen() -> None:
    assert error(Config(isolation={"suport": "process"})) == (
        '[isolation] names the agent "suport", which does not exist (did you mean "support"?)'
    )
    assert warnings(Config(isolation={"zzz": "process"})) == [
        '[isolation] names the agent "zzz", which does not exist (there are: sales, support)'
    ]


def test_an_error_hides_nothing_else(tmp_path: Path) -> None:
    config = Config(isolation={"suport": "process", "zzz": "thread"}, routing=RoutingSettings(default="x"))
    shown: list[str] = []
    with pytest.raises(OpenRTCError, match="default"):
        check_agent_names(config, KNOWN, shown.append)
    assert [line.split('"')[1] for line in shown] == ["zzz", "suport"]


def test_a_message_begins_with_where_the_name_stands(tmp_path: Path) -> None:
    routing = "[routing]\n\ndefault = 'sales'\nprefix_agents = ['yyy']\n"
    toml = f"[limits]\nsales = 3\nzzz = 3\n{routing}[isolation]\nxxx = 'thread'\n"
    (tmp_path / "openrtc.toml").write_text(toml, encoding="utf-8")
    config = load_config(
        folder=tmp_path, environ={"OPENRTC_ROOM_METADATA_AGENTS": "www"}, overrides={"isolate": ["vvv=thread"]}
    )
    file = tmp_path / "openrtc.toml"
    assert [line.partition(": [")[0] for line in warnings(config)] == [
        f"{file}:7",
        "OPENRTC_ROOM_METADATA_AGENTS",
        f"{file}:3",
        "--isolate",
    ]


def test_every_setting_that_holds_names_of_agents_or_distributions_is_checked() -> None:
    assert {setting.label for setting in SETTINGS if setting.kind.names_of} == {
        "[routing] default",
        "[routing] prefix_agents",
        "[routing] room_metadata_agents",
        "[routing] job_metadata_agents",
        "[routing] attribute_agents",
        "[routing] agent_name_agents",
        "[routing] internal",
        "[plugins] allow",
        "[plugins] deny",
        "[plugins] prefer",
        "[limits]",
        "[isolation]",
    }


def test_a_part_that_a_distribution_does_not_bring_is_warned_about(site: Site) -> None:
    site.add("my-agent", agents={"support": "m:C"}, plugins={"vip": "m"})
    site.add("plain-agent", agents={"sales": "m:C"})
    shown: list[str] = []
    deny = ("plain-agent:sales", "plain-agent:slaes", "my-agent:brought-by-a-hook", "zzz:a")
    check_distribution_names(Config(policy=Policy(deny=deny)), site.entries(), shown.append)
    assert shown == [
        (
            '[plugins] deny names the distribution "zzz", which brings no installed agent or plugin '
            "(there are: my-agent, plain-agent)"
        ),
        '[plugins] deny names "slaes" of plain-agent, which brings no such agent or plugin (did you mean "sales"?)',
    ]
