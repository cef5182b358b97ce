"""Code is known by what it does, comments and docstrings aside, and by its name in the source of its module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from openrtc.upstream import digest, known_code
from openrtc.upstream.digest import compute_digests, describe_changes, find_changes
from openrtc.upstream.known_code import ABSENT, DIGESTS, RELEASES, USED_BY

SOURCE = """
from typing import overload

def one(a: int) -> int:
    '''Say something.'''
    return a + 1  # a comment

class Server:
    @overload
    def name(self): ...
    def name(self):
        return 1
"""
ONE, NAME = "fake_livekit.server:one", "fake_livekit.server:Server.name"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    digest._compute_module_digests.cache_clear()
    yield
    digest._compute_module_digests.cache_clear()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of a package ``fake_livekit`` with a module ``server``, of which all is known."""
    package = tmp_path / "fake_livekit"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "server.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    known = compute_digests(SOURCE, ["one", "Server.name"])
    monkeypatch.setattr(digest, "DIGESTS", {"fake_livekit.server": {path: (one,) for path, one in known.items()}})
    monkeypatch.setattr(digest, "USED_BY", {"jobs": (ONE, NAME)})
    yield package
    for name in [name for name in sys.modules if name.startswith("fake_livekit")]:
        del sys.modules[name]


def digest_of(source: str | None, path: str = "one") -> str:
    return compute_digests(source, [path])[path]


def test_comments_and_docstrings_do_not_change_a_digest_and_code_does() -> None:
    assert digest_of("def one(a: int) -> int:\n    return (a\n        + 1)\n") == digest_of(SOURCE)
    assert digest_of(SOURCE.replace("a + 1", "a + 2")) != digest_of(SOURCE)


def test_a_function_is_digested_with_its_overloads_and_a_module_as_a_whole() -> None:
    assert digest_of(SOURCE.replace("return 1", "return 2"), "Server.name") != digest_of(SOURCE, "Server.name")
    assert digest_of(SOURCE.replace("@overload", "@other"), "Server.name") != digest_of(SOURCE, "Server.name")
    assert digest_of(f"{SOURCE}\nx = 1\n", "") != digest_of(SOURCE, "")


@pytest.mark.parametrize("path", ["two", "Server.two", "one.name", "Client.name"])
def test_what_is_gone_is_absent(path: str) -> None:
    assert digest_of(SOURCE, path) == ABSENT


@pytest.mark.parametrize("path", ["one", ""])
def test_a_module_that_is_gone_is_absent(path: str) -> None:
    assert digest_of(None, path) == ABSENT


@pytest.mark.usefixtures("fake")
def test_what_is_as_it_was_is_no_change() -> None:
    assert find_changes("jobs") == {} and describe_changes("jobs") is None
    assert "fake_livekit.server" not in sys.modules


def test_what_has_changed_and_what_is_gone_is_said_without_importing_it(fake: Path) -> None:
    (fake / "server.py").write_text(SOURCE.replace("a + 1", "a + 2").replace("def name", "def title"))
    assert describe_changes("jobs") == f"{ONE} has changed, {NAME} is gone"
    assert "fake_livekit.server" not in sys.modules


@pytest.mark.parametrize("gone", ["module", "package"])
def test_a_module_or_package_that_is_gone_is_said(fake: Path, gone: str) -> None:
    (fake / "server.py").unlink()
    if gone == "package":
        fake.rename(fake.with_name("other_livekit"))
    assert set(find_changes("jobs").values()) == {ABSENT}


@pytest.mark.parametrize("text", [b"def one(:\n", b"\xff\xfe\x00"])
def test_what_cannot_be_read_counts_as_changed(fake: Path, text: bytes) -> None:
    (fake / "server.py").write_bytes(text)
    assert describe_changes("jobs") == f"{ONE} has changed, {NAME} has changed"


def test_what_has_no_source_counts_as_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "DIGESTS", {"math": {"sqrt": ("x",)}})
    monkeypatch.setattr(digest, "USED_BY", {"jobs": ("math:sqrt",)})
    assert describe_changes("jobs") == "math:sqrt has changed"


@pytest.mark.usefixtures("fake")
def test_what_somebody_else_has_replaced_counts_as_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    import fake_livekit.server as server  # type: ignore[import-not-found]

    assert find_changes("jobs") == {}
    monkeypatch.setattr(server, "one", lambda a: a)
    assert describe_changes("jobs") == f"{ONE} has changed"
    monkeypatch.delattr(server, "one")
    assert describe_changes("jobs") == f"{ONE} has changed"


def test_all_parts_and_digests_belong_together() -> None:
    used = {name for names in USED_BY.values() for name in names}
    assert used == {f"{module}:{path}" for module, paths in DIGESTS.items() for path in paths}
    assert all(digests for paths in DIGESTS.values() for digests in paths.values())
    assert len(set(RELEASES)) == len(RELEASES)


def test_the_tables_import_nothing_of_livekit() -> None:
    tree = ast.parse(Path(known_code.__file__).read_text("utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "collections.abc"}


@pytest.mark.parametrize("part", USED_BY)
def test_this_livekit_agents_is_known(part: str) -> None:
    assert find_changes(part) == {}
