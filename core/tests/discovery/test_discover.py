from __future__ import annotations

import os
import random
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from importlib_metadata import Distribution, DistributionFinder

from openrtc.discovery.discover import discover
from openrtc.discovery.entries import Entry
from openrtc.model.hung_package import IMPORT, name_hung
from openrtc.model.names import normalise_name
from openrtc.model.status import INSTALLED, State, Status
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site


def only(site: Site, **policy: Any) -> Entry:
    (entry,) = site.entries(**policy)
    return entry


def test_an_agent_and_a_plugin_are_listed_without_import(site: Site) -> None:
    site.add(
        "My.Agent",
        agents={"helpdesk": "my_agent:Support"},
        plugins={"vip": "my_agent.router"},
        files={"my_agent.py": "raise SystemExit"},
        version="2.1",
        summary="Answers the phone",
    )
    agent, plugin = site.entries()
    assert (agent.name, agent.value, agent.group) == ("helpdesk", "my_agent:Support", "openrtc.agents")
    assert (agent.distribution, agent.version, agent.summary) == ("My.Agent", "2.1", "Answers the phone")
    assert agent.is_agent
    assert not plugin.is_agent
    assert {agent.state, plugin.state} == {State.INSTALLED}
    assert agent.reason is agent.fix is agent.location is None


def test_what_a_start_leaves_out_is_broken_unless_the_operator_has_switched_it_off(site: Site) -> None:
    site.add("My_Agent", agents={"helpdesk": "pkg_a:X"}, plugins={"vip": "pkg_a.plugin"})
    site.add("other", agents={"outbound": "other:X"})
    hung = name_hung("my-agent", IMPORT, 60, "pkg_a.py:3")

    def states(**policy: Any) -> dict[str, Status]:
        found = discover(Config(policy=Policy(**policy), hung=(hung,)))
        return {entry.name: entry.status for entry in found if normalise_name(entry.distribution) in site.distributions}

    assert states() == {"helpdesk": hung.status, "vip": hung.status, "outbound": INSTALLED}
    assert states(deny=("my-agent",))["helpdesk"].state is State.DISABLED


def test_the_order_is_that_of_names_whatever_the_disk_says(site: Site) -> None:
    names = [f"dist-{letter}" for letter in "hgfedcba"]
    random.Random(1).shuffle(names)
    for name in names:
        site.add(name, agents={f"z-{name}": "m:C", f"a-{name}": "m:C"})
    found = [(entry.distribution, entry.name) for entry in site.entries()]
    assert found == sorted(found)
    assert len(found) == 16


def test_distributions_that_do_not_speak_of_openrtc_are_ignored(site: Site) -> None:
    site.add("plain")
    site.add("other", entry_points="[console_scripts]\nopenrtc-tool = other:main\n[openrtc.unknown]\nx = y:z\n")
    assert site.entries() == []


def test_a_distribution_hidden_by_one_earlier_on_the_path_is_ignored(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = site.beside("later")
    later.add("my-agent", agents={"old": "m:C"}, version="9.0")
    monkeypatch.setattr("sys.path", [*sys.path, str(later.folder)])
    site.add("My_Agent", agents={"new": "m:C"}, version="1.0")
    assert [entry.name for entry in site.entries()] == ["new"]


def test_an_earlier_distribution_hides_a_later_one_even_without_entry_points(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = site.beside("later")
    later.add("my-agent", agents={"old": "m:C"})
    monkeypatch.setattr("sys.path", [*sys.path, str(later.folder)])
    site.add("my-agent")
    assert site.entries() == []


def test_of_two_versions_left_in_one_folder_the_newer_counts(site: Site) -> None:
    site.add("my-agent", agents={"helpdesk": "m:Old"}, version="1.9")
    site.add("my-agent", agents={"helpdesk": "m:New"}, version="1.10")
    assert only(site).value == "m:New"


def test_a_file_that_is_not_utf8_breaks_its_own_entries_only(site: Site) -> None:
    info = site.add("bad", entry_points=b"[openrtc.agents]\nfine = m:C\nb\xe9 = m:C\n")
    site.add("good", agents={"helpdesk": "m:C"})
    first, second, good = site.entries()
    assert {first.state, second.state} == {State.BROKEN}
    assert first.reason == "entry_points.txt is not UTF-8"
    assert first.location == f"{info / 'entry_points.txt'}:3"
    assert "UTF-8" in (first.fix or "")
    assert good.state is State.INSTALLED


def test_a_utf16_file_is_a_broken_entry_too(site: Site) -> None:
    site.add("wide", entry_points="[openrtc.agents]\nhelpdesk = m:C\n".encode("utf-16"))
    entry = only(site)
    assert (entry.state, entry.name) == (State.BROKEN, "helpdesk")


def test_a_file_with_a_byte_order_mark_is_read(site: Site) -> None:
    site.add("bom", entry_points=b"\xef\xbb\xbf[openrtc.agents]\r\nhelpdesk = m:C\r\n")
    assert (only(site).state, only(site).name) == (State.INSTALLED, "helpdesk")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no equals sign", "the line has no ="),
        (" = m:C", "the name is empty"),
        ("my agent = m:C", '"my agent" cannot be a name'),
        ("a/b = m:C", "cannot be a name"),
        ("ü = m:C", "cannot be a name"),
        (f"{'x' * 129} = m:C", "129 characters"),
        ("helpdesk =", "there is no value after ="),
        ("helpdesk = m:", "names no Python object"),
        ("helpdesk = :C", "names no Python object"),
        ("helpdesk = my-package:C-D", "names no Python object"),
        ("helpdesk = m:C()", "names no Python object"),
        ("helpdesk = m..n:C", "names no Python object"),
        ("helpdesk = 1m:C", "names no Python object"),
        ("helpdesk = m:C:D", "names no Python object"),
        ("helpdesk = m C", "names no Python object"),
    ],
)
def test_a_malformed_line_is_broken_with_its_place_and_fix(site: Site, line: str, words: str) -> None:
    info = site.add("bad", entry_points=f"# comment\n[openrtc.agents]\n\n{line}\ngood = m:C\n")
    bad, good = sorted(site.entries(), key=lambda entry: entry.state)
    assert bad.state is State.BROKEN
    assert words in (bad.reason or "")
    assert bad.location == f"{info / 'entry_points.txt'}:4"
    assert bad.fix
    assert good.name == "good"


def test_control_characters_in_metadata_do_not_reach_the_list(site: Site) -> None:
    site.add("bad", agents={"evil\x1b[31m": "m:C"}, summary="red \x1b[31m alert")
    entry = only(site)
    assert "\x1b" not in f"{entry.name}{entry.reason}{entry.summary}"


def test_a_name_declared_twice_in_one_distribution_is_broken(site: Site) -> None:
    site.add("bad", entry_points="[openrtc.agents]\nhelpdesk = m:A\nhelpdesk = m:B\n[openrtc.plugins]\nsupport = p\n")
    states = [(entry.group, entry.value, entry.state) for entry in site.entries()]
    assert states == [
        ("openrtc.agents", "m:A", State.BROKEN),
        ("openrtc.agents", "m:B", State.BROKEN),
        ("openrtc.plugins", "p", State.INSTALLED),
    ]


@pytest.mark.parametrize("group", ["openrtc.agent", "openrtc_agents", "OpenRTC.Agents", "openrtc-agents"])
def test_a_misspelt_group_is_told(site: Site, group: str) -> None:
    site.add("bad", entry_points=f"[{group}]\nhelpdesk = m:C\n")
    entry = only(site)
    assert entry.state is State.BROKEN
    assert group in (entry.reason or "")
    assert entry.fix == "name the group [openrtc.agents]"


def test_extras_and_spaces_in_a_value_are_understood(site: Site) -> None:
    site.add("my-agent", agents={"helpdesk": "my_agent.deep : Outer.Inner  [voice, x]"})
    assert (only(site).value, only(site).state) == ("my_agent.deep:Outer.Inner", State.INSTALLED)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "METADATA is missing"),
        (b"Name: bad\nSummary: \xff\n", "METADATA is not UTF-8"),
        ("nonsense\n", "METADATA has no Name and no Version"),
        ("Name: bad\n\nVersion: 1\n", "METADATA has no Version"),
    ],
)
def test_unusable_metadata_is_broken_with_what_mends_it(site: Site, metadata: bytes | str | None, words: str) -> None:
    info = site.add("bad", agents={"helpdesk": "m:C"}, metadata=metadata)
    entry = only(site)
    assert entry.state is State.BROKEN
    assert (entry.distribution, entry.version) == ("bad", "1.0")
    assert words in (entry.reason or "")
    assert entry.fix == "install bad again, from where it came"
    assert (entry.location or "").startswith(f"{info / 'METADATA'}:")


def test_a_metadata_folder_without_name_is_passed_over(site: Site) -> None:
    (site.folder / ".dist-info").mkdir()
    (site.folder / "x.egg-info").mkdir()
    site.add("good", agents={"helpdesk": "m:C"})
    assert only(site).name == "helpdesk"


def test_an_entry_points_file_that_is_a_folder_is_passed_over(site: Site) -> None:
    info = site.add("odd")
    (info / "entry_points.txt").mkdir()
    assert site.entries() == []


def test_an_egg_info_folder_is_read_too(site: Site) -> None:
    info = site.folder / "old_agent.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Name: old-agent\nVersion: 3\n")
    (info / "entry_points.txt").write_text("[openrtc.agents]\nhelpdesk = m:C\n")
    site.distributions.add("old-agent")
    assert (only(site).version, only(site).state) == ("3", State.INSTALLED)


def test_a_wheel_on_the_path_is_read_like_a_folder(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = site.folder.parent / "zipped_agent-1.5-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("zipped_agent-1.5.dist-info/METADATA", "Name: zipped-agent\nVersion: 1.5\n")
        archive.writestr("zipped_agent-1.5.dist-info/entry_points.txt", "[openrtc.agents]\nzipped = m:C\n")
    monkeypatch.syspath_prepend(str(wheel))
    site.distributions.add("zipped-agent")
    assert (only(site).name, only(site).version, only(site).state) == ("zipped", "1.5", State.INSTALLED)


def test_a_finder_of_somebodys_own_whose_distributions_fail_does_no_harm(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wreck(Distribution):
        def read_text(self, filename: str) -> str | None:
            raise RuntimeError(filename)

        def locate_file(self, path: object) -> Path:
            raise RuntimeError(path)

    class Finder(DistributionFinder):
        def find_distributions(self, context: object = None) -> list[Distribution]:
            return [Wreck()]

    monkeypatch.setattr("sys.meta_path", [Finder(), *sys.meta_path])
    site.add("good", agents={"fine": "m:C"})
    assert only(site).name == "fine"


def test_a_folder_that_stands_on_the_path_twice_counts_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("good", agents={"fine": "m:C"})
    monkeypatch.setattr("sys.path", [str(site.folder), *sys.path])
    assert only(site).state is State.INSTALLED


def test_denied_distributions_are_disabled_and_others_not_allowed(site: Site) -> None:
    site.add("My_Agent", agents={"a": "m:C"})
    site.add("other", agents={"b": "m:C"}, requires=["does-not-exist"])
    site.add("third", agents={"c": "m:C"})
    states = {e.name: e.state for e in site.entries(deny=("my-agent", "other"), allow=("my-agent", "other"))}
    assert states == {"a": State.DISABLED, "b": State.DISABLED, "c": State.NOT_ALLOWED}


def test_an_empty_allow_list_allows_nothing(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"})
    assert only(site, allow=()).state is State.NOT_ALLOWED


def test_one_name_of_two_distributions_is_a_conflict_of_both(site: Site) -> None:
    site.add("first", agents={"helpdesk": "m:C", "alone": "m:C"})
    site.add("second", agents={"helpdesk": "m:C"})
    alone, one, two = site.entries()
    assert alone.state is State.INSTALLED
    assert {one.state, two.state} == {State.CONFLICT}
    assert one.reason == 'second also brings an agent "helpdesk"'
    assert one.fix == two.fix == 'in openrtc.toml: [plugins.prefer] helpdesk = "first"'


def test_prefer_settles_a_conflict(site: Site) -> None:
    for name in ("First", "second", "third"):
        site.add(name, agents={"helpdesk": "m:C"})
    states = {entry.distribution: entry for entry in site.entries(prefer={"helpdesk": "second"})}
    assert states["second"].state is State.INSTALLED
    assert states["First"].state is states["third"].state is State.DISABLED
    assert states["First"].reason == 'prefer gives the name "helpdesk" to second'


def test_prefer_for_a_distribution_that_does_not_bring_the_name_settles_nothing(site: Site) -> None:
    site.add("first", agents={"helpdesk": "m:C"})
    site.add("second", agents={"helpdesk": "m:C"})
    assert {entry.state for entry in site.entries(prefer={"helpdesk": "third"})} == {State.CONFLICT}


@pytest.mark.parametrize("policy", [{"deny": ("second",)}, {"allow": ("first",)}])
def test_what_the_operator_switches_off_conflicts_with_nothing(site: Site, policy: dict[str, tuple[str, ...]]) -> None:
    site.add("first", agents={"helpdesk": "m:C"})
    site.add("second", agents={"helpdesk": "m:C"})
    assert site.entries(**policy)[0].state is State.INSTALLED


def test_an_incompatible_or_broken_namesake_does_not_spoil_a_good_agent(site: Site) -> None:
    site.add("good", agents={"helpdesk": "m:C"})
    site.add("lacking", agents={"helpdesk": "m:C"}, requires=["no-such-thing-at-all"])
    site.add("wrecked", agents={"helpdesk": "m:C"}, metadata=None)
    assert [entry.state for entry in site.entries()] == [State.INSTALLED, State.INCOMPATIBLE, State.BROKEN]


def test_a_hook_module_may_be_named_like_an_agent(site: Site) -> None:
    site.add("first", agents={"helpdesk": "m:C"})
    site.add("second", agents={"helpdesk": "hooks"})
    assert {entry.state for entry in site.entries()} == {State.INSTALLED}


def test_an_unreadable_file_does_no_harm(site: Site) -> None:
    info = site.add("locked", agents={"a": "m:C"})
    (info / "entry_points.txt").chmod(0)
    site.add("good", agents={"b": "m:C"})
    found = [entry.name for entry in site.entries()]
    assert found == (["b"] if os.geteuid() else ["b", "a"])


def test_one_agent_or_plugin_of_a_distribution_is_switched_off_by_its_own_name(site: Site) -> None:
    site.add("My_Agent", agents={"a": "m:C", "b": "m:C"}, plugins={"a": "m", "p": "m"})
    site.add("other", agents={"b": "m:D"})
    policy = {"deny": ("my-agent:b", "my-agent:p", "other:nothing")}
    found = {(entry.distribution, entry.group, entry.name): entry for entry in site.entries(**policy)}
    off = {key[2]: entry for key, entry in found.items() if entry.state is State.DISABLED}
    assert set(off) == {"b", "p"}
    assert off["b"].fix == 'take "my-agent:b" out of deny'
    assert found["other", "openrtc.agents", "b"].state is State.INSTALLED
