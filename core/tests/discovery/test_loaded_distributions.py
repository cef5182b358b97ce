"""What became on the disk of the distributions that a process has loaded."""

from __future__ import annotations

import os
import shutil
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.discovery.discover import discover
from openrtc.discovery.loaded_distributions import Drift, LoadedDistributions
from openrtc.settings.config import Config, Policy

if TYPE_CHECKING:
    from conftest import Site

HALF_DONE = None
"""A RECORD that pip has not written yet."""


def install(site: Site, version: str, *record: str, agents: dict[str, str] | None = None, name: str = "desk") -> Path:
    lines = record or (f"{name}.py,sha256=of-{version},1",)
    return site.add(name, agents=agents or {name: f"{name}:Agent"}, version=version, record=lines)


def load() -> LoadedDistributions:
    return LoadedDistributions.from_entries(discover(Config()))


def look(loaded: LoadedDistributions, **policy: object) -> list[Drift]:
    return loaded.look(discover(Config(policy=Policy(**policy))))  # type: ignore[arg-type]


def upgraded(before: str, now: str, what: str = "upgraded") -> Drift:
    return Drift(distribution="desk", what=what, loaded_version=before, installed_version=now, agents=("desk",))


def import_as(monkeypatch: pytest.MonkeyPatch, name: str, file: Path) -> None:
    """Let a module look as if it were imported."""
    module = types.ModuleType(name)
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, name, module)


def test_nothing_has_changed_when_only_pip_and_python_have_written_beside_the_code(site: Site) -> None:
    old = install(site, "1.0", "desk.py,sha256=a,1", "desk-1.0.dist-info/INSTALLER,sha256=b,4")
    loaded = load()
    (site.folder / "__pycache__").mkdir()
    (site.folder / "__pycache__" / "desk.cpython-311.pyc").write_bytes(b"")
    (old / "REQUESTED").write_text("")
    os.utime(old)
    os.utime(old / "entry_points.txt", (1, 1))
    assert look(loaded) == [] and loaded.find_drift("desk") is None and loaded.version_of("Desk") == "1.0"
    shutil.rmtree(old)  # the same wheel, by force
    install(
        site,
        "1.0",
        "desk.py,sha256=a,1",
        "__pycache__/desk.cpython-311.pyc,,",
        "desk-1.0.dist-info/REQUESTED,sha256=,0",
    )
    assert look(loaded) == [] and loaded.find_drift("desk") is None


def test_an_upgrade_is_one_change_at_whatever_moment_one_looks(site: Site) -> None:
    old = install(site, "1.9")
    loaded = load()
    away = old.rename(site.folder / "~esk-1.9.dist-info")  # what pip does first
    assert [drift.what for drift in look(loaded)] == ["removed"], "whoever looks again in a moment knows better"
    new = site.add("desk", agents={"desk": "desk:Agent"}, version="1.10", record=HALF_DONE)
    assert look(loaded) == []
    drift = loaded.find_drift("desk")
    assert drift and drift.what == "removed", "a module of it must not be imported now"
    (new / "RECORD").write_text("desk.py,,\n")
    shutil.rmtree(away)
    assert look(loaded) == [upgraded("1.9", "1.10")] == look(loaded)
    assert loaded.version_of("desk") == "1.9"
    found = loaded.find_drift("desk")
    assert found and str(found) == "desk 1.10 was installed after this worker loaded 1.9"
    assert Drift.from_json(found.to_json()) == found
    shutil.rmtree(new)
    install(site, "1.9")
    assert look(loaded) == [] and loaded.find_drift("desk") is None, "it is as it was loaded again"


def test_what_else_can_become_of_a_distribution(site: Site) -> None:
    old = install(site, "1.0")
    loaded = load()
    shutil.rmtree(old)
    gone = Drift(distribution="desk", what="removed", loaded_version="1.0")
    assert look(loaded) == [gone] and str(gone) == "desk 1.0 was removed after this worker loaded it"
    before = install(site, "1.0rc1")
    assert look(loaded) == [upgraded("1.0", "1.0rc1", "downgraded")]
    shutil.rmtree(before)
    other = install(site, "1.0", "desk.py,sha256=other,1")
    assert look(loaded) == [upgraded("1.0", "1.0", "changed")]
    assert str(look(loaded)[0]) == "desk 1.0 was changed after this worker loaded it"
    shutil.rmtree(other)
    install(site, "1.0", agents={"desk": "desk:Agent", "night": "desk:Night"})
    assert [(drift.what, drift.agents) for drift in look(loaded)] == [("changed", ("desk", "night"))]


def test_what_is_new_counts_where_it_has_agents_that_the_operator_allows(site: Site) -> None:
    loaded = load()
    site.add("library", version="2.0", record=["library.py,,"])
    site.add("tool", commands={"tool": "tool:run"}, record=["tool.py,,"])
    install(site, "2.0", name="orders")
    assert look(loaded, deny=("orders",)) == []
    new = Drift(distribution="orders", what="installed", installed_version="2.0", agents=("orders",))
    assert look(loaded) == [new] and str(new) == "orders 2.0 was installed after this worker started"
    clash = site.add("rival", agents={"orders": "rival:Agent"}, record=["rival.py,,"])
    assert [(drift.distribution, drift.agents) for drift in look(loaded)] == [("orders", ()), ("rival", ())]
    shutil.rmtree(clash)
    assert loaded.version_of("orders") == "" and loaded.find_drift("orders") is None
    loaded.add([entry for entry in discover(Config()) if entry.distribution == "orders"])
    assert look(loaded) == [] and loaded.version_of("orders") == "2.0"


def test_a_library_counts_where_it_is_imported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"used.py": "", "unused.py": ""}
    site.add("used", version="1.0", record=["used.py,,"], files=files)
    site.add("unused", version="1.0", record=["unused.py,,"])
    loaded = load()
    import_as(monkeypatch, "used", site.folder / "used.py")
    for name in ("used", "unused"):
        shutil.rmtree(site.folder / f"{name}-1.0.dist-info")
        site.add(name, version="2.0", record=[f"{name}.py,,"])
    drift = Drift(distribution="used", what="upgraded", loaded_version="1.0", installed_version="2.0")
    assert look(loaded) == [drift]
    shutil.rmtree(site.folder / "unused-2.0.dist-info")
    assert look(loaded) == [drift]
    shutil.rmtree(site.folder / "used-2.0.dist-info")
    (site.folder / "used.py").unlink()
    assert [(drift.distribution, drift.what) for drift in look(loaded)] == [("used", "removed")]


@pytest.mark.parametrize("folder", ["desk-1.0.dist-info", "desk.egg-info"])
def test_an_edit_counts_where_the_code_is_not_what_was_imported(site: Site, tmp_path: Path, folder: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    source, prompts = project / "desk.py", project / "prompts.py"
    source.write_text("WORD = 1\n")
    prompts.write_text("")
    # As hatchling, and as setuptools, which puts a finder beside it.
    record = ["desk.pth,,", "__editable___desk_1_0_finder.py,,"]
    site.add("desk", agents={"desk": "desk:Agent"}, folder=folder, record=record)
    loaded = load()
    loaded.note_sources({"desk": [str(source), str(prompts)]})
    assert not loaded.list_edited()
    os.utime(source, (1, 1))
    source.write_text("WORD = 1\n")
    assert not loaded.list_edited() and look(loaded) == []
    source.write_text("WORD = 2\n")
    assert {name for name, _, _ in loaded.list_edited()} == {"desk"} and look(loaded) == [
        upgraded("1.0", "1.0", "changed")
    ]
    source.write_text("WORD = 1\n")
    prompts.unlink()
    assert look(loaded) == [upgraded("1.0", "1.0", "changed")]
