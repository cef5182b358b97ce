from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from openrtc.discovery import claimed_files
from openrtc.discovery.metadata_folders import Installed, read_file
from openrtc.model.status import State

if TYPE_CHECKING:
    from conftest import Site

FIX = "install both editable, or move the module into a package"


def record(path: str, content: str | None = None) -> str:
    """Return the line of a RECORD: with the hash of what the wheel had there, or without."""
    if content is None:
        return f"{path},,"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(content)}"


def add(site: Site, name: str, files: dict[str, str], *, hashed: bool = True, **more: object) -> Path:
    """Install a wheel with one agent, over what was there."""
    lines = [record(path, content if hashed else None) for path, content in files.items()]
    agents = {name: "agent:MyAgent"}
    return site.add(name, agents=agents, files=files, record=lines, **more)  # type: ignore[arg-type]


def states(site: Site, **policy: tuple[str, ...]) -> dict[str, State]:
    return {entry.name: entry.state for entry in site.entries(**policy)}


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("path", ["agent.py", "agent/__init__.py", "agent/prompts/hello.txt", "protocol.so", "x.pth"])
def test_a_file_of_two_wheels_is_a_conflict_of_both_with_the_fix(site: Site, path: str, hashed: bool) -> None:
    add(site, "alpha", {path: "I sell."}, hashed=hashed)
    last = add(site, "beta", {path: "I beta."}, hashed=hashed)
    alpha, beta = site.entries()
    assert {alpha.state, beta.state} == {State.CONFLICT}
    assert alpha.reason == f"{path} is a file of beta too, and one of the two has overwritten the other's"
    assert not hashed or beta.reason == f"{path} has overwritten the file of alpha of that name"
    assert alpha.location == f"{last / 'RECORD'}"
    assert alpha.fix == FIX
    assert beta.fix == (f"{FIX}; or switch the other off: --deny alpha" if hashed else FIX)


def test_the_one_whose_file_is_there_can_be_used_when_the_other_is_switched_off(site: Site) -> None:
    add(site, "alpha", {"agent.py": "I sell."})
    add(site, "beta", {"agent.py": "I beta."})
    assert states(site, deny=("alpha",)) == {"alpha": State.DISABLED, "beta": State.INSTALLED}
    assert states(site, allow=("beta",)) == {"alpha": State.NOT_ALLOWED, "beta": State.INSTALLED}


def test_the_one_whose_file_is_gone_cannot(site: Site) -> None:
    add(site, "alpha", {"agent.py": "I sell.", "b.py": "b"})
    add(site, "beta", {"agent.py": "I beta.", "b.py": "other"})
    (site.folder / "b.py").write_text("b")
    assert states(site, deny=("beta",)) == {"alpha": State.CONFLICT, "beta": State.DISABLED}
    (alpha, _) = site.entries(deny=("beta",))
    assert alpha.fix == f"{FIX}; or uninstall beta, then install alpha again"


def test_each_of_three_names_another(site: Site) -> None:
    for name in ("aa", "bb", "cc"):
        add(site, name, {"agent.py": name})
    assert set(states(site).values()) == {State.CONFLICT}
    assert states(site, deny=("aa", "bb")) == {"aa": State.DISABLED, "bb": State.DISABLED, "cc": State.INSTALLED}
    assert states(site, deny=("aa",))["cc"] is State.CONFLICT


@pytest.mark.parametrize(
    "path",
    [
        "LICENSE",
        "README.md",
        "tests/test_agent.py",
        "docs/conf.py",
        "agent/__pycache__/x.cpython-311.pyc",
        "../../../bin/agent",
        "/usr/share/agent/x.py",
    ],
)
def test_what_no_agent_imports_is_no_conflict(site: Site, path: str) -> None:
    for name in ("alpha", "beta"):
        site.add(name, agents={name: "m:C"}, record=[record(path, name)])
    assert set(states(site).values()) == {State.INSTALLED}


def test_one_and_the_same_content_is_no_conflict(site: Site) -> None:
    add(site, "alpha", {"shared/__init__.py": ""})
    add(site, "beta", {"shared/__init__.py": ""})
    assert set(states(site).values()) == {State.INSTALLED}


def test_other_folders_of_the_path_and_editables_claim_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    later = site.beside("later")
    add(later, "beta", {"agent.py": "I beta."})
    monkeypatch.syspath_prepend(str(later.folder))
    site.distributions.add("beta")
    add(site, "alpha", {"agent.py": "I sell."})
    site.add("editable", agents={"editable": "agent:C"}, record=["_editable.pth,,", "agent.pyx"])
    assert set(states(site).values()) == {State.INSTALLED}


def test_a_record_that_is_nonsense_claims_nothing(site: Site) -> None:
    site.add(
        "odd",
        agents={"odd": "m:C"},
        record=["", ",", ",,", "\0", '"', "a" * 100_000],
    )
    add(site, "alpha", {"agent.py": "I sell."})
    assert set(states(site).values()) == {State.INSTALLED}


def test_names_with_commas_and_windows_separators_are_understood(site: Site) -> None:
    site.add("alpha", agents={"alpha": "m:C"}, record=[record('"agent/a,b.py"', "1")])
    site.add("beta", agents={"beta": "m:C"}, record=[record('"agent\\a,b.py"', "2")])
    assert set(states(site).values()) == {State.CONFLICT}


def test_who_overwrites_openrtc_itself_is_a_conflict(site: Site) -> None:
    file = "openrtc/__init__.py,sha256="
    site.add(
        "openrtc-core", entry_points="[console_scripts]\nopenrtc = openrtc.cli.main:program\n", record=[f"{file}a,1"]
    )
    site.add("stranger", agents={"stranger": "openrtc.agent:C"}, record=[f"{file}b,1"])
    (entry,) = site.entries()
    assert entry.state is State.CONFLICT
    assert "openrtc-core" in (entry.reason or "")


@pytest.mark.parametrize("path", ["agent.py", "agent/prompts.py"])
@pytest.mark.parametrize("last", ["library", "alpha"])
def test_a_distribution_without_agents_has_overwritten_the_file_or_the_other_way_round(
    site: Site, path: str, last: str
) -> None:
    for name in ("library", "alpha") if last == "alpha" else ("alpha", "library"):
        agents = {"alpha": "agent:MyAgent"} if name == "alpha" else None
        site.add(name, agents=agents, files={path: name}, record=[record("a.py", "a"), record(path, name)])
    for policy in ({}, {"allow": ("alpha",)}):
        (entry,) = site.entries(**policy)
        assert entry.state is State.CONFLICT
        if last == "alpha":
            assert entry.reason == f"{path} has overwritten the file of library of that name"
            assert entry.fix == FIX
        else:
            assert entry.reason == f"{path} is a file of library too, and one of the two has overwritten the other's"
            assert entry.fix == f"{FIX}; or uninstall library, then install alpha again"
        assert (entry.location or "").endswith("library-1.0.dist-info/RECORD")


def test_others_are_read_for_names_only_that_others_may_have(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("my-agent", agents={"mine": "my_agent:C"}, files={"my_agent/__init__.py": ""}, record=["my_agent/a.py,,"])
    site.add("library", record=["agent.py,,"])
    read: list[str] = []

    def note(one: Installed, name: str, limit: int) -> bytes:
        read.append(one.key)
        return read_file(one, name, limit)

    monkeypatch.setattr(claimed_files, "read_file", note)
    site.entries()
    assert "my-agent" in read
    assert "library" not in read
    site.add("flat", agents={"flat": "agent:C"}, record=["agent.py,,"])
    site.entries()
    assert "library" in read
