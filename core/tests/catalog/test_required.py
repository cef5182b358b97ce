from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from openrtc.catalog.catalog import Catalog
from openrtc.catalog.required import find_unmet
from openrtc.discovery.discover import discover
from openrtc.plugins.load import load
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site

ORIGINS = {"plugins.require": "openrtc.toml:2"}


def unmet(**policy: tuple[str, ...]) -> list[str]:
    """Return what is wrong before anything is imported."""
    config = Config(policy=Policy(**policy), origins=ORIGINS)  # type: ignore[arg-type]
    entries = discover(config)
    return [str(error) for error in find_unmet(config, entries, entries)]


@pytest.mark.parametrize("required", ["my-agent", "my-agent>=1", "my-agent==1.4", "my-agent<2,>=1.4", "my-agent~=1.2"])
def test_what_is_installed_and_usable_is_met(site: Site, required: str) -> None:
    site.add("My_Agent", agents={"a": "m:C"}, plugins={"b": "m"}, version="1.4")
    assert unmet(require=(required,)) == []


@pytest.mark.parametrize(
    ("required", "policy", "words"),
    [
        ("gone-agent>=1", {}, "gone-agent>=1, which is not installed (pip install 'gone-agent>=1')"),
        ("my-agent>=2", {}, "my-agent>=2, and my-agent 1.4 is installed (pip install 'my-agent>=2')"),
        ("a-library", {}, "a-library, which brings no agent or plugin"),
        ("a-library>3", {}, "a-library>3, and a-library 1.0 is installed"),
        ("my-agent", {"deny": ("my-agent",)}, "my-agent, which is disabled: denied by the operator"),
        ("my-agent", {"allow": ()}, "my-agent, which is not-allowed: not in the allow list"),
        ("lacking", {}, "lacking, of which c is incompatible: needs nothing-of-the-kind, which is not installed"),
    ],
)
def test_what_is_not_is_told_with_its_place_and_fix(
    site: Site, required: str, policy: dict[str, tuple[str, ...]], words: str
) -> None:
    site.add("my-agent", agents={"a": "m:C"}, version="1.4")
    site.add("a-library")
    site.add("lacking", agents={"c": "m:C"}, requires=["nothing-of-the-kind"])
    (line,) = unmet(require=(required,), **policy)
    assert line.startswith(f"openrtc.toml:2: [plugins] require names {words}")


def test_a_part_that_the_operator_has_switched_off_may_be_missing(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C", "b": "m:C"})
    assert unmet(require=("my-agent",), deny=("my-agent:b",)) == []


def test_each_is_told(site: Site) -> None:
    assert len(unmet(require=("gone-one", "gone-two"))) == 2


def test_two_installations_of_a_required_name_are_a_conflict(site: Site) -> None:
    for version in ("1.0", "2.0"):
        site.add("my-agent", agents={"a": "m:C"}, version=version)
    (line,) = unmet(require=("my-agent>=1",))
    assert "a is conflict: my-agent is installed twice, 2.0 and 1.0, and require names it" in line


def test_what_fails_when_it_is_imported_is_not_met(site: Site, agent_source: str) -> None:
    agents = {"a": "pkg_a:Support", "b": "pkg_b:B"}
    site.add("my-agent", agents=agents, files={"pkg_a.py": agent_source, "pkg_b.py": "1/0"})
    config = Config(policy=Policy(require=("my-agent",)))
    entries = discover(config)
    loaded = load([entry for entry in entries if entry.distribution == "my-agent"], config)
    (error,) = find_unmet(config, entries, Catalog.of(loaded).rows)
    assert "my-agent, of which b is broken: ZeroDivisionError" in str(error)
