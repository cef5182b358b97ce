from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.discovery.installed import compare_key, find_installed, find_named
from openrtc.discovery.metadata_folders import list_installed
from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site
    from openrtc.discovery.entries import Entry

WHOLE = ["m.py,,"]


def only(site: Site, **policy: object) -> Entry:
    (entry,) = site.entries(**policy)
    return entry


@pytest.mark.parametrize("folder", ["~ig_agent-9.0.dist-info", "-ig_agent-9.0.dist-info", "~-g_agent-9.0.dist-info"])
def test_what_pip_has_left_of_an_interrupted_upgrade_is_passed_over_and_told(site: Site, folder: str) -> None:
    site.add("big-agent", agents={"big": "m:Old"}, version="9.0", folder=folder, record=WHOLE)
    assert site.entries() == []
    assert site.warnings == [f"{site.folder / folder} is a leftover of pip and passed over (remove that folder)"]
    site.add("big-agent", agents={"big": "m:New"}, record=WHOLE)
    assert only(site).value == "m:New"
    assert only(site, deny=("big-agent",)).state is State.DISABLED
    assert len(site.warnings) == 1


def test_a_leftover_of_something_else_is_nobodys_business(site: Site) -> None:
    site.add("good", agents={"a": "m:C"})
    site.add("ip", folder="~ip-23.0.dist-info")
    site.add("umpy", folder="~~mpy-2.0.dist-info", entry_points="[console_scripts]\nf2py = numpy:main\n")
    assert only(site).name == "a"
    assert site.warnings == []


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("1.0rc1", "1.0"),
        ("1.0.dev3", "1.0a1"),
        ("1.0", "1.0.post1"),
        ("1.0", "1.0+local"),
        ("1.0+abc", "1.0+1"),
        ("2025.1", "1!0.1"),
        ("1.0.0", "1.0.0.1"),
        ("1.0b2", "1.0rc1"),
        ("2.0.0-final-build", "0.0.1"),
        ("9" * 200, "1.0"),
        ("not_a_version", "0.1.dev0"),
    ],
)
def test_of_two_whole_ones_the_newer_counts_whatever_the_disk_says(site: Site, older: str, newer: str) -> None:
    assert compare_key(older) < compare_key(newer)
    for number, (version, value) in enumerate([(older, "m:Old"), (newer, "m:New")]):
        metadata = f"Name: my-agent\nVersion: {version}\n"
        folder = f"my_agent-{number}.dist-info"
        site.add("my-agent", agents={"a": value}, metadata=metadata, folder=folder, record=WHOLE)
    assert only(site).value == "m:New"
    (line,) = site.warnings
    assert line.startswith(f"my-agent is installed twice: {newer} is used, and {site.folder}")
    assert line.endswith("passed over (remove that folder, then install my-agent again)")


@pytest.mark.parametrize("policy", [{"allow": ("my-agent",)}, {"require": ("my-agent>=1",)}])
def test_two_whole_ones_are_a_conflict_where_the_operator_relies_on_the_name(
    site: Site, policy: dict[str, tuple[str, ...]]
) -> None:
    stale = site.add("my-agent", agents={"a": "m:Old"}, version="1.0")
    site.add("my-agent", agents={"a": "m:New"}, version="2.0")
    entry = only(site, **policy)
    assert entry.state is State.CONFLICT
    (setting,) = policy
    assert (
        entry.reason == f"my-agent is installed twice, 2.0 and 1.0, and {setting} names it: which is meant is unknown"
    )
    assert entry.fix == f"remove {stale}, then install my-agent again"
    assert only(site, allow=("other",)).state is State.NOT_ALLOWED
    assert only(site, deny=("my-agent",)).state is State.DISABLED


@pytest.mark.parametrize("metadata", [None, "nonsense\n", b"Name: \xff\n", "Name: my-agent\n"])
def test_metadata_that_is_whole_counts_before_newer_metadata_that_is_not(
    site: Site, metadata: bytes | str | None
) -> None:
    site.add("my-agent", agents={"a": "m:C"}, version="1.0")
    empty = site.add("my-agent", agents={"a": "m:Lost"}, version="2.0", metadata=metadata, record=WHOLE)
    assert (only(site).value, only(site).version) == ("m:C", "1.0")
    assert site.warnings == [f"{empty} has no metadata that can be read, and is passed over (remove that folder)"]
    assert only(site, allow=("my-agent",)).state is State.INSTALLED


def test_an_empty_folder_of_a_newer_version_is_passed_over(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"}, version="1.0")
    (site.folder / "my_agent-2.0.dist-info").mkdir()
    assert (only(site).value, only(site).version) == ("m:C", "1.0")
    assert len(site.warnings) == 1


def test_an_installation_that_pip_has_not_finished_counts_after_one_that_it_has(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"}, version="1.0", record=WHOLE)
    half = site.add("my-agent", agents={"a": "m:Half"}, version="2.0")
    assert only(site).value == "m:C"
    assert site.warnings == [f"{half} has no RECORD, and is passed over (remove that folder)"]
    assert only(site, allow=("my-agent",)).state is State.INSTALLED


def test_without_record_it_counts_like_any_other(site: Site) -> None:
    site.add("my-agent", agents={"a": "m:C"})
    assert only(site).state is State.INSTALLED
    assert site.warnings == []


@pytest.mark.parametrize("name", ["My_Agent", "my.agent", "MY--AGENT", "my-_.agent"])
def test_names_that_are_the_same_to_pip_are_one_distribution(site: Site, name: str) -> None:
    site.add("my-agent", agents={"a": "m:Old"}, version="1.0")
    site.add(name, agents={"a": "m:New"}, version="1.1", folder=f"{name}-1.1.dist-info")
    assert only(site).value == "m:New"
    assert only(site, deny=("my-agent",)).state is State.DISABLED


def test_policy_and_duplicates_go_by_the_name_in_the_metadata(site: Site) -> None:
    site.add("Shown.Name", agents={"a": "m:Old"}, folder="folder_name-1.0.dist-info")
    assert only(site, deny=("shown-name",)).state is State.DISABLED
    assert only(site, deny=("folder-name",)).state is State.INSTALLED
    assert only(site, allow=("folder-name",)).state is State.NOT_ALLOWED
    site.add("shown-name", agents={"a": "m:New"}, version="2.0")
    assert only(site).value == "m:New"


def test_a_folder_named_for_another_cannot_hide_it(site: Site) -> None:
    site.add("evil", agents={"a": "m:Evil"}, version="9.0", folder="good-9.0.dist-info")
    site.add("good", agents={"b": "m:C"}, version="1.0")
    assert {entry.distribution: entry.state for entry in site.entries()} == {
        "evil": State.INSTALLED,
        "good": State.INSTALLED,
    }


def test_what_requires_it_compares_with_the_version_in_the_metadata(site: Site) -> None:
    site.add("lib", version="2.0", metadata="Name: lib\nVersion: 1.0\n")
    site.add("my-agent", agents={"a": "m:C"}, requires=["lib<2"])
    assert only(site).state is State.INSTALLED


def test_of_a_required_library_the_whole_and_newer_one_counts(site: Site) -> None:
    for version in ("1.9", "1.10"):
        site.add("lib", version=version)
    (site.folder / "lib-3.0.dist-info").mkdir()
    site.add("my-agent", agents={"a": "m:C"}, requires=["lib>=1.10,<2"])
    assert only(site).state is State.INSTALLED
    assert site.warnings == []  # of what has nothing to do with OpenRTC


@pytest.mark.parametrize(("first", "second"), [("1.0", "2.0"), ("2.0", "1.0")])
def test_the_first_on_the_path_hides_the_others_and_that_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    later = site.beside("later")
    later.add("my-agent", agents={"a": "m:Later"}, version=second, record=WHOLE)
    monkeypatch.setattr("sys.path", [*sys.path, str(later.folder)])
    site.add("my_agent", agents={"a": "m:C"}, version=first)
    assert (only(site).value, only(site).version) == ("m:C", first)
    assert site.warnings == [f"my_agent {second} in {later.folder} is hidden by {first} in {site.folder}"]
    assert only(site, allow=("my-agent",)).state is State.INSTALLED


def test_an_empty_folder_first_on_the_path_hides_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    later = site.beside("later")
    later.add("my-agent", agents={"a": "m:C"})
    monkeypatch.setattr("sys.path", [*sys.path, str(later.folder)])
    (site.folder / "my_agent-2.0.dist-info").mkdir()
    site.distributions.add("my-agent")
    assert only(site).value == "m:C"
    assert len(site.warnings) == 1


def test_a_copy_further_down_the_path_is_not_worth_a_word(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    later = site.beside("later")
    for one in (site, later):
        one.add("my-agent", agents={"a": "m:C"})
    (site.folder.parent / "link").symlink_to(site.folder)
    monkeypatch.setattr("sys.path", [*sys.path, str(later.folder), str(site.folder.parent / "link")])
    assert only(site).state is State.INSTALLED
    assert site.warnings == []


@pytest.mark.parametrize("source_first", [True, False])
def test_an_editable_installation_and_its_source_tree_are_one(
    site: Site, monkeypatch: pytest.MonkeyPatch, source_first: bool
) -> None:
    info = site.add("my-agent", agents={"a": "m:C"}, version="1.1")
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///src", "dir_info": {"editable": True}}))
    source = site.beside("source")
    source.add("my-agent", agents={"a": "m:C", "new": "m:D"}, version="1.0.dev0", folder="my_agent.egg-info")
    path = [str(source.folder), *sys.path] if source_first else [*sys.path, str(source.folder)]
    monkeypatch.setattr("sys.path", path)
    assert {entry.version for entry in site.entries()} == {"1.0.dev0" if source_first else "1.1"}
    assert site.warnings == []


def test_eggs_and_what_distutils_wrote_count_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("old-agent", agents={"a": "m:C"}, folder="old_agent-3.0-py3.11.egg-info", version="3.0")
    (site.folder / "lib-1.5.egg-info").write_text("Name: lib\nVersion: 1.5\n")
    egg = site.folder / "packed-2.0-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text("Name: packed\nVersion: 2.0\nRequires-Dist: lib>=1.5\n")
    (egg / "EGG-INFO" / "entry_points.txt").write_text("[openrtc.agents]\nb = m:C\n")
    monkeypatch.syspath_prepend(str(egg))
    site.distributions.add("packed")
    assert [(one.name, one.version, one.state) for one in site.entries()] == [
        ("a", "3.0", State.INSTALLED),
        ("b", "2.0", State.INSTALLED),
    ]


def test_an_egg_link_leads_to_its_source_tree(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    source = site.beside("source")
    source.add("my-agent", agents={"a": "m:C"}, version="0.3", folder="my_agent.egg-info")
    (site.folder / "my-agent.egg-link").write_text(f"{source.folder}\n.")
    (site.folder / "easy-install.pth").write_text(f"{source.folder}\n")
    monkeypatch.setattr("sys.path", [*sys.path, str(source.folder)])  # as site.py does for the .pth file
    site.distributions.add("my-agent")
    assert (only(site).version, only(site).state) == ("0.3", State.INSTALLED)
    assert site.warnings == []


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(site: Site) -> None:
    info = site.add("odd")
    os.mkfifo(info / "entry_points.txt")
    site.add("good", agents={"a": "m:C"})
    assert only(site).name == "a"


def test_a_folder_of_the_path_that_nobody_may_read_is_passed_over(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path / "missing"), *sys.path, "\0bad", tmp_path])
    monkeypatch.setattr("os.listdir", random_order_without(tmp_path / "locked"))
    monkeypatch.syspath_prepend(str(tmp_path / "locked"))
    (tmp_path / "locked").mkdir()
    site.add("good", agents={"a": "m:C"})
    assert only(site).name == "a"


def random_order_without(locked: Path) -> object:
    """Return an `os.listdir` that lists in another order, and may not look into one folder."""
    listdir = os.listdir

    def listing(path: str) -> list[str]:
        if str(path) == str(locked):
            raise PermissionError(path)
        return random.Random(3).sample(names := listdir(path), len(names))

    return listing


def test_a_finder_that_fails_hides_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wreck:
        def find_distributions(self, context: object) -> list[object]:
            raise SystemError("no")

    monkeypatch.setattr("sys.meta_path", [Wreck(), *sys.meta_path])
    site.add("good", agents={"a": "m:C"})
    assert only(site).name == "a"


def test_nothing_is_read_of_what_does_not_speak_of_openrtc(site: Site) -> None:
    site.add("plain", metadata=b"\xff")
    site.add("nested", metadata=None)
    found = find_installed()
    assert found.distributions["plain"].version == "1.0"
    assert {one.installed.key for one in found.speaking}.isdisjoint({"plain", "nested"})


def test_named_distributions_are_found_without_reading_anything(site: Site) -> None:
    site.add("My.Lib", version="1.0")
    site.add("my-lib", version="1.2", folder="my_lib-1.2.dist-info")
    assert find_named("my-lib", "not-there-at-all")["my-lib"].version == "1.2"
    assert "my-lib" in {one.key for one in list_installed()}
