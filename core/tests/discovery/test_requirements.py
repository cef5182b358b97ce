from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from openrtc.discovery.entries import Entry
from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site


def only(site: Site) -> Entry:
    (entry,) = site.entries()
    return entry


def test_a_command_to_copy_holds_nothing_that_a_shell_would_run(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"}, requires=["evil @ https://x/$(touch${IFS}pwned)"])
    fix = only(site).fix or ""
    assert fix == "pip install 'evil @ https://x/$(touch${IFS}pwned)'"


@pytest.mark.parametrize(
    ("requirement", "version", "met"),
    [
        ("lib", "1.0", True),
        ("lib>=1.8,<1.9", "1.8.9", True),
        ("lib>=1.8,<1.9", "1.9", False),
        ("lib >= 1.10", "1.9", False),
        ("lib (>=1.0)", "1", True),
        ("lib<=1.0", "1.0.0", True),
        ("lib<2", "2.0rc1", False),
        ("lib~=1.4", "1.9", True),
        ("lib~=1.4", "2.0", False),
        ("lib==1.*", "1.7", True),
        ("lib!=1.7", "1.7", False),
        ("lib>1.7", "1.7.post1", False),
        ('lib>=2; python_version > "3"', "1.0", False),
        ('lib>=2; python_version < "3"', "1.0", True),
        ('lib>=2; extra == "x"', "1.0", True),
        ('lib>=2; extra == "x" or python_version > "3"', "1.0", False),
    ],
)
def test_versions_compare_as_pip_compares_them(site: Site, requirement: str, version: str, met: bool) -> None:
    site.add("lib", version=version)
    site.add("my-agent", agents={"a": "m:C"}, requires=[requirement])
    assert only(site).state is (State.INSTALLED if met else State.INCOMPATIBLE)


def test_a_missing_requirement_is_incompatible_with_the_pip_command(site: Site) -> None:
    info = site.add("my-agent", agents={"a": "m:C"}, requires=["pluggy", "no-such-thing-at-all>=2"])
    entry = only(site)
    assert entry.state is State.INCOMPATIBLE
    assert entry.reason == "needs no-such-thing-at-all>=2, which is not installed"
    assert entry.fix == "pip install 'no-such-thing-at-all>=2'"
    assert entry.location == f"{info / 'METADATA'}:5"


def test_another_version_is_incompatible_and_told_with_what_is_installed(site: Site) -> None:
    site.add("Some_Lib", version="1.4")
    site.add("my-agent", agents={"a": "m:C"}, requires=["some.lib >=2,<3"])
    entry = only(site)
    assert entry.state is State.INCOMPATIBLE
    assert entry.reason == "needs some.lib<3,>=2, and some.lib 1.4 is installed"


def test_a_prerelease_meets_a_requirement_as_pip_check_sees_it(site: Site) -> None:
    site.add("some-lib", version="2.0rc1")
    site.add("my-agent", agents={"a": "m:C"}, requires=["some-lib>=1"])
    assert only(site).state is State.INSTALLED


def test_markers_and_extras_of_requirements_are_respected(site: Site) -> None:
    site.add(
        "my-agent",
        agents={"plain": "m:C", "voiced": "m:C [voice]"},
        requires=['never>=1; python_version < "3"', 'absent-lib; extra == "voice"'],
    )
    states = {entry.name: entry.state for entry in site.entries()}
    assert states == {"plain": State.INSTALLED, "voiced": State.INCOMPATIBLE}


def test_extras_that_a_requirement_asks_for_are_followed(site: Site) -> None:
    site.add("base-lib", requires=['absent-part; extra == "full"', 'other-absent; extra == "unused"'])
    site.add("my-agent", agents={"a": "m:C"}, requires=["base-lib[full]"])
    entry = only(site)
    assert entry.state is State.INCOMPATIBLE
    assert "absent-part" in (entry.reason or "")
    assert entry.fix == "pip install 'base-lib[full]'"


def test_extras_that_ask_for_each_other_come_to_an_end(site: Site) -> None:
    site.add("ring", requires=['ring[b]; extra == "a"', 'ring[a]; extra == "b"'])
    site.add("my-agent", agents={"a": "m:C"}, requires=["ring[a]"])
    assert only(site).state is State.INSTALLED


@pytest.mark.parametrize(
    "requirement",
    [
        ">>> nonsense",
        "a b c",
        "x; python_version <<< '3'",
        "packaging (>=20.*)",
        "pluggy>=1.0-legacy_build",
        "pluggy==",
        "",
        "pluggy[",
        "pluggy; (os_name",
        "pluggy @ ",
    ],
)
def test_a_requirement_that_cannot_be_read_is_not_checked_which_is_told_with_its_place(
    site: Site, requirement: str
) -> None:
    info = site.add("my-agent", agents={"a": "m:C", "b": "m:C"}, requires=["pluggy", requirement])
    assert {entry.state for entry in site.entries()} == {State.INSTALLED}
    (line,) = site.warnings
    assert line.startswith(f'my-agent: requirement "{requirement.strip()}" cannot be read and is not checked: ')
    assert line.endswith(f"; its author must fix that, at {info / 'METADATA'}:5")


def test_what_can_be_read_beside_it_is_still_compared(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"}, requires=["packaging (>=20.*)", "no-such-thing-at-all"])
    assert only(site).reason == "needs no-such-thing-at-all, which is not installed"


@pytest.mark.parametrize(
    ("text", "met"),
    [
        (">=3.8", True),
        (">=3.11,<4", True),
        (">= 3.11, < 4", True),
        ("~=3.11", True),
        (">=3.8,!=3.9.*", True),
        ("!=2.7", True),
        ("", True),
        (">=4", False),
        ("<3.11", False),
        ("==2.7.*", False),
        (">=4.0.0rc1", False),
    ],
)
def test_the_python_that_it_requires_is_compared(site: Site, text: str, met: bool) -> None:
    info = site.add("my-agent", agents={"a": "m:C"}, metadata=f"Name: my-agent\nVersion: 1\nRequires-Python: {text}\n")
    entry = only(site)
    assert entry.state is (State.INSTALLED if met else State.INCOMPATIBLE)
    if not met:
        assert entry.reason == f"needs Python {text}, and this is Python {platform.python_version()}"
        assert entry.fix == "use such a Python, or a version of my-agent for this one"
        assert entry.location == f"{info / 'METADATA'}:3"
    assert site.warnings == []


def test_a_python_that_cannot_be_read_is_a_warning(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"}, metadata="Name: my-agent\nVersion: 1\nRequires-Python: 3.x or so\n")
    assert only(site).state is State.INSTALLED
    (line,) = site.warnings
    assert line.startswith('my-agent: Requires-Python "3.x or so" cannot be read and is not checked: ')


def test_metadata_of_other_distributions_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        site.add(f"plain-{number}", metadata=b"\xff\xfe not readable")
    site.add("my-agent", agents={"a": "m:C"}, requires=["plain-3==1.0"])
    assert only(site).state is State.INSTALLED


@pytest.mark.parametrize(
    ("requirement", "ignored"),
    [
        ("opencv-python>=4", "opencv-python"),
        ("opencv_python", "my-agent:opencv-python"),
        ("packaging==1.0", "packaging"),
        ("packaging==1.0; python_version > '3'", "my-agent:packaging"),
        ("packaging @ https://x.y/z ; os_name == ''", "packaging"),
    ],
)
def test_a_requirement_that_does_not_matter_is_ignored(site: Site, requirement: str, ignored: str) -> None:
    site.add("opencv-python-headless", version="4.10")
    site.add("my-agent", agents={"a": "m:C"}, requires=[requirement])
    (entry,) = site.entries(ignore_requirements=(ignored,))
    assert entry.state is State.INSTALLED
    assert site.warnings == []


def test_what_one_distribution_may_do_without_the_others_may_not(site: Site) -> None:
    for name in ("my-agent", "other"):
        site.add(name, agents={name: "m:C"}, requires=["no-such-thing-at-all", "nor-this"])
    states = [entry.reason for entry in site.entries(ignore_requirements=("my-agent:no-such-thing-at-all", "nor-this"))]
    assert states == [None, "needs no-such-thing-at-all, which is not installed"]


def test_what_an_extra_needs_is_ignored_too(site: Site) -> None:
    site.add("base-lib", requires=['absent-part; extra == "full"'])
    site.add("my-agent", agents={"a": "m:C"}, requires=["base-lib[full]"])
    (entry,) = site.entries(ignore_requirements=("absent-part",))
    assert entry.state is State.INSTALLED


@pytest.mark.parametrize("ignored", ["python", "my-agent:Python"])
def test_the_python_that_it_requires_is_ignored(site: Site, ignored: str) -> None:
    site.add("my-agent", agents={"a": "m:C"}, metadata="Name: my-agent\nVersion: 1\nRequires-Python: >=4\n")
    (entry,) = site.entries(ignore_requirements=(ignored,))
    assert entry.state is State.INSTALLED
