"""Building the wheel: with the Go that is there, once for each version, or one line that says what is missing."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from openrtc import find_server

pytestmark = pytest.mark.process

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", PROJECT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with what shell scripts need and no Go, and an empty cache folder beside it."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in ("mkdir", "chmod", "sleep", "wc"):
        (folder / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def put_go(path: Path, *, version: str = "go1.26.1", toolchain: str = "local", install: str | None = None) -> None:
    """Put a stand-in for Go on the PATH that builds a shell script; ``install`` replaces what `go install` does."""
    module = path.parent / "module"
    module.mkdir()
    (module / "LICENSE").write_text("the licence")
    (module / "NOTICE").write_text("the notice")
    build = install or 'mkdir -p "$GOBIN"; echo "#!/bin/sh" > "$GOBIN/server"; chmod +x "$GOBIN/server"'
    go = path / "go"
    go.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {path.parent}/calls\n'
        'case "$1" in\n'
        f'env) echo \'{{"GOVERSION": "{version}", "GOTOOLCHAIN": "{toolchain}"}}\' ;;\n'
        f"install) {build} ;;\n"
        f'mod) echo \'{{"Dir": "{module}"}}\' ;;\n'
        "esac\n"
    )
    go.chmod(0o755)


def build(kind: str, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def test_the_wheel_carries_the_binary_for_this_platform_as_a_script(path: Path, tmp_path: Path) -> None:
    put_go(path)
    ran = build("wheel", tmp_path)
    assert ran.returncode == 0, ran.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert re.fullmatch(r"openrtc_livekit_server-1\.13\.5-py3-none-(manylinux|macosx|win)_[\w.]+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name: name for name in archive.namelist()}
        assert names["livekit-server"] == "openrtc_livekit_server-1.13.5.data/scripts/livekit-server"
        assert archive.getinfo(names["livekit-server"]).external_attr >> 16 & 0o111
        assert archive.read(names["LICENSE"]) == b"the licence"
        assert "Root-Is-Purelib: false" in archive.read(names["WHEEL"]).decode()


def test_go_is_asked_for_the_official_module_with_the_users_settings(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "settings"
    put_go(path, install=f'echo "$CGO_ENABLED $GOFLAGS" > {settings}; mkdir -p "$GOBIN"; echo > "$GOBIN/server"')
    monkeypatch.setenv("GOFLAGS", "-modcacherw")
    build("wheel", tmp_path)
    calls = (tmp_path / "calls").read_text().splitlines()
    module = "github.com/livekit/livekit-server/cmd/server@v1.13.5"
    assert f"install -trimpath -gcflags=all=-dwarf=false -ldflags=-s -w {module}" in calls
    assert settings.read_text() == "0 -modcacherw\n"


def test_a_second_build_takes_the_binary_from_the_cache(path: Path, tmp_path: Path) -> None:
    put_go(path)
    build("wheel", tmp_path / "one")
    (path / "go").unlink()
    again = build("wheel", tmp_path / "two")
    assert again.returncode == 0, again.stderr
    assert len(list(tmp_path.glob("*/*.whl"))) == 2


def test_the_core_finds_what_was_built_in_the_cache(
    path: Path, hook: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENRTC_LIVEKIT_SERVER", raising=False)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(path))
    assert find_server() is None
    put_go(path)
    target = hook.Target.here("1.13.5")
    hook.build(target, hook.find_go())
    assert find_server() == target.folder / "livekit-server"


def test_two_builds_at_once_leave_one_whole_binary(path: Path, tmp_path: Path, hook: ModuleType) -> None:
    begun = tmp_path / "begun"
    meet = f"echo >> {begun}; while [ $(wc -l < {begun}) -lt 2 ]; do sleep 0.05; done"
    write = 'mkdir -p "$GOBIN"; echo "#!/bin/sh" > "$GOBIN/server"; echo "echo whole" >> "$GOBIN/server"'
    put_go(path, install=f'{meet}; {write}; chmod +x "$GOBIN/server"')
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    builds = [subprocess.Popen([*command, str(tmp_path / name)], cwd=PROJECT) for name in ("one", "two")]
    assert [running.wait(60) for running in builds] == [0, 0]
    target = hook.Target.here("1.13.5")
    assert subprocess.check_output([target.folder / "livekit-server"], text=True) == "whole\n"
    assert [folder.name for folder in target.folder.parent.iterdir()] == [target.folder.name]


@pytest.mark.parametrize("toolchain", ["local", "auto"])
def test_a_go_from_before_toolchains_is_refused_in_one_line(path: Path, tmp_path: Path, toolchain: str) -> None:
    put_go(path, version="go1.20.4", toolchain=toolchain)
    assert_refused(build("wheel", tmp_path), r"needs Go 1\.26, and \S+/go is go1\.20\.4: install Go 1\.26 or newer")


def test_an_old_go_that_may_not_fetch_a_newer_one_is_refused(path: Path, tmp_path: Path) -> None:
    put_go(path, version="go1.25.3", toolchain="local")
    assert_refused(build("wheel", tmp_path), r"needs Go 1\.26, and \S+/go is go1\.25\.3: install Go 1\.26 or newer")


def test_an_old_go_that_fetches_the_newer_one_is_taken(path: Path, tmp_path: Path) -> None:
    put_go(path, version="go1.22.0", toolchain="auto")
    assert build("wheel", tmp_path).returncode == 0


def test_a_missing_go_is_told_in_one_line(path: Path, tmp_path: Path) -> None:
    assert_refused(build("wheel", tmp_path), "there is no `go` on the PATH: install Go 1.26 or newer")


def test_a_failing_go_is_told_with_its_last_line_and_leaves_nothing(path: Path, tmp_path: Path) -> None:
    put_go(path, install='mkdir -p "$GOBIN"; echo > "$GOBIN/server"; echo begun >&2; echo "no route" >&2; exit 1')
    assert_refused(build("wheel", tmp_path), "`go install .* failed: no route")
    assert list((tmp_path / "cache/openrtc/livekit-server").iterdir()) == []


def test_a_cache_folder_that_cannot_be_written_is_told(path: Path, tmp_path: Path) -> None:
    put_go(path)
    (tmp_path / "cache").write_text("a file where a folder should be")
    assert_refused(build("wheel", tmp_path), "cannot keep the built server .*; XDG_CACHE_HOME chooses another folder")


def test_the_sdist_needs_no_go_and_carries_no_binary(path: Path, tmp_path: Path) -> None:
    ran = build("sdist", tmp_path)
    assert ran.returncode == 0, ran.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    assert sdist.stat().st_size < 50_000
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "hatch_build.py", "README.md", "src/openrtc_livekit_server/__init__.py"} <= names


def assert_refused(ran: subprocess.CompletedProcess[str], reason: str) -> None:
    assert ran.returncode == 1
    lines = [line for line in ran.stderr.splitlines() if not line.startswith(("[", "building livekit-server"))]
    assert len(lines) == 1, ran.stderr
    assert re.search(f"^openrtc-livekit-server: .*{reason}", lines[0])
