from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc import install_commands
from openrtc.discovery.own_requirements import check_own_requirements
from openrtc.errors import OpenRTCError
from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site

REQUIRES = ["livekit-agents<1.9,>=1.8", "pluggy<2,>=1.7", "rich>=13.9", 'uvloop>=0.21; extra == "uvloop"']
VERSIONS = {"livekit-agents": "1.8.9", "livekit": "1.1.21", "pluggy": "1.7.0", "rich": "14.0"}


class Environment:
    """A path that has nothing but what a test installs.

    Args:
        site: Where it is installed.
    """

    def __init__(self, site: Site) -> None:
        self.site = site

    def install(self, *missing: str, **versions: str) -> None:
        """Install OpenRTC and what it needs, some of it in other versions."""
        if "openrtc-core" not in self.site.distributions:
            self.site.add("openrtc-core", requires=REQUIRES)
        chosen = VERSIONS | {name.replace("_", "-"): version for name, version in versions.items()}
        for name in chosen.keys() - set(missing):
            needs = ["livekit==1.1.21", 'hume>=1; extra == "hume"'] if name == "livekit-agents" else []
            self.site.add(name, version=chosen[name], requires=needs)

    def check(self) -> list[str]:
        """Return the warnings."""
        shown: list[str] = []
        check_own_requirements(shown.append)
        return shown

    def error(self) -> str:
        """Return the one line."""
        with pytest.raises(OpenRTCError) as raised:
            self.check()
        return str(raised.value)


@pytest.fixture
def environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    install_commands._find_ours.cache_clear()
    monkeypatch.setattr("sys.path", [str(site.folder), *filter(is_library, sys.path)])
    # Where nothing else is installed, there is no pip either.
    monkeypatch.setattr(install_commands, "_run_pip", lambda *words: f"pip {shlex.join(words)}")
    yield Environment(site)
    install_commands._find_ours.cache_clear()


def is_library(path: str) -> bool:
    """Whether a folder of the path holds modules only."""
    return not any(Path(path or ".").glob("*.*-info"))


@pytest.mark.parametrize(
    "versions", [{}, {"livekit_agents": "1.8.0"}, {"livekit_agents": "1.8.10+local"}, {"pluggy": "1.9.dev3"}]
)
def test_what_openrtc_works_with_is_no_mistake(environment: Environment, versions: dict[str, str]) -> None:
    environment.install(**versions)
    assert environment.check() == []


@pytest.mark.parametrize(
    ("versions", "line"),
    [
        ({"livekit_agents": "1.5.0"}, "openrtc-core needs livekit-agents<1.9,>=1.8, and livekit-agents 1.5.0 is"),
        ({"livekit_agents": "2.0.0b1"}, "openrtc-core needs livekit-agents<1.9,>=1.8, and livekit-agents 2.0.0b1 is"),
        ({"pluggy": "1.0.0"}, "openrtc-core needs pluggy<2,>=1.7, and pluggy 1.0.0 is installed (pip install"),
        ({"livekit": "1.0.19"}, "livekit-agents 1.8.9 needs livekit==1.1.21, and livekit 1.0.19 is installed (pip"),
        ({"livekit": "odd"}, "livekit-agents 1.8.9 needs livekit==1.1.21, and livekit odd is installed (pip install"),
    ],
)
def test_another_version_of_what_is_vital_is_one_line(
    environment: Environment, versions: dict[str, str], line: str
) -> None:
    environment.install(rich="1.0", **versions)
    environment.site.add("my-agent", agents={"a": "m:C"}, requires=["livekit-agents", "pluggy>=0.1", "livekit>=0.9"])
    assert environment.error().startswith(line)
    assert "since" not in environment.error()  # my-agent would take what OpenRTC works with


@pytest.mark.parametrize(
    ("versions", "requirement", "wanted"),
    [
        ({"livekit_agents": "1.5.0"}, "livekit-agents[openai] == 1.5.0", "livekit-agents==1.5.0"),
        ({"livekit_agents": "1.5.3"}, "livekit_agents~=1.5.0", "livekit_agents~=1.5.0"),
        ({"livekit_agents": "1.5.0"}, "LiveKit.Agents<1.8", "LiveKit.Agents<1.8"),
        ({"livekit_agents": "2.1"}, "livekit-agents>=2", "livekit-agents>=2"),
        ({"pluggy": "1.3"}, "pluggy<1.4; python_version > '3'", "pluggy<1.4"),
        ({"livekit": "1.0.19"}, "livekit<1.1", "livekit<1.1"),
    ],
)
def test_who_has_asked_for_it_is_named(
    environment: Environment, versions: dict[str, str], requirement: str, wanted: str
) -> None:
    environment.install(**versions)
    environment.site.add("Old.Agent", version="0.3", requires=[requirement])
    environment.site.add("another", requires=["livekit-agents>=1", 'pluggy<1.4; extra == "x"', "livekit-agents (bad"])
    line = environment.error()
    assert f" is installed, since old-agent 0.3 asks for {wanted} (pip install " in line
    assert line.endswith("needs an environment apart, or another version)")


def test_of_many_who_asked_a_few_are_named(environment: Environment) -> None:
    environment.install(pluggy="1.3")
    for number in range(5):
        environment.site.add(f"old-{number}", requires=["pluggy==1.3"])
    line = environment.error()
    assert len(re.findall("asks for pluggy==1.3", line)) == 3
    assert " and 2 more (pip install 'pluggy<2,>=1.7'; " in line


@pytest.mark.parametrize("missing", ["livekit-agents", "pluggy", "livekit"])
def test_what_is_not_there_is_one_line_too(environment: Environment, missing: str) -> None:
    environment.install(missing)
    assert f", which is not installed (pip install {missing}" in environment.error().replace("'", "")


def test_everything_else_is_a_warning(environment: Environment) -> None:
    environment.install(rich="12.0")
    environment.site.add("old-tool", requires=["rich<13"])
    assert environment.check() == [
        (
            "openrtc-core needs rich>=13.9, and rich 12.0 is installed, since old-tool 1.0 asks for rich<13 "
            "(pip install 'rich>=13.9'; old-tool needs an environment apart, or another version)"
        )
    ]


def test_packaging_itself_may_be_missing(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    environment.site.add("openrtc-core", requires=["livekit-agents<1.9,>=1.8", "packaging>=24.2"])
    environment.install("rich")
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert environment.check() == [
        "openrtc-core needs packaging>=24.2, which is not installed (pip install 'packaging>=24.2')"
    ]


def test_somebody_elses_distribution_of_our_import_name_is_told_wherever_that_is_possible(
    environment: Environment,
) -> None:
    environment.install()
    environment.site.add("openrtc", version="0.20.1")
    environment.site.add("my-agent", agents={"a": "m:C"}, requires=["OpenRTC>=0.1"])
    (line,) = environment.check()
    assert line.startswith("the distribution openrtc 0.20.1 is somebody else's and has the same import name: ")
    assert "(required by my-agent)" in line
    assert "pip uninstall openrtc, then install openrtc-core from the folder or wheel that " in line


@pytest.mark.parametrize("requirement", ["openrtc", "OpenRTC>=9", "openrtc[x]; os_name != ''", "openrtc @ https://x"])
def test_who_requires_it_is_told_whether_it_is_there_or_not(site: Site, requirement: str) -> None:
    info = site.add("my-agent", agents={"a": "m:C"}, requires=["openrtc-core", "openrtc-silero", requirement])
    (entry,) = site.entries()
    assert entry.state is State.INSTALLED
    (line,) = site.warnings
    said = "my-agent: requires openrtc, which is somebody else's; ours is openrtc-core; its author must fix that, at"
    assert line == f"{said} {info / 'METADATA'}:6"
