from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from openrtc.discovery.entries import Entry, State

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


@pytest.mark.parametrize("requirement", [">>> nonsense", "a b c", "x; python_version <<< '3'"])
def test_a_requirement_that_is_nonsense_is_broken_with_its_place(site: Site, requirement: str) -> None:
    info = site.add("my-agent", agents={"a": "m:C"}, requires=[requirement])
    entry = only(site)
    assert entry.state is State.BROKEN
    assert entry.location == f"{info / 'METADATA'}:4"


def test_metadata_of_other_distributions_is_not_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        site.add(f"plain-{number}", metadata=b"\xff\xfe not readable")
    site.add("my-agent", agents={"a": "m:C"}, requires=["plain-3==1.0"])
    assert only(site).state is State.INSTALLED
