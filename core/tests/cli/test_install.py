"""`openrtc install`, `upgrade` and `uninstall`, by the real pip in an environment of their own."""

from __future__ import annotations

import io
import subprocess
import sys
import sysconfig
import zipfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from openrtc.cli.main import main
from openrtc.observe.snapshots import SnapshotServer
from openrtc.observe.sockets import make_private_folder, snapshot_path

if TYPE_CHECKING:
    from conftest import Site


def build_wheel(folder: Path, name: str, version: str, *requires: str, agent: str = "") -> Path:
    """Write a wheel that holds nothing but its metadata."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    head = "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {
        "METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{head}",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "entry_points.txt": f"[openrtc.agents]\n{agent} = m:C\n" if agent else "",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{stem}.dist-info/{file}", text)
    return path


@pytest.fixture
def python(tmp_path: Path) -> str:
    """The Python of an environment that has what this one has, and whose own folder is empty."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (own,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (own / "other.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return str(tmp_path / "venv" / "bin" / "python")


@pytest.mark.process
def test_packages_are_installed_beside_the_core_and_what_changes_is_said(
    python: str, tmp_path: Path, runtime_folder: Path
) -> None:
    def run(*words: str) -> tuple[int, str, str]:
        command = [python, "-m", "openrtc", *words]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout, done.stderr

    one = build_wheel(tmp_path, "one-agent", "1.0", "openrtc-core", agent="support-one")
    user = build_wheel(tmp_path, "one-user", "1.0", "one-helper<2")
    build_wheel(tmp_path, "one-helper", "1.0")
    code, out, err = run("install", str(one), str(user), "--no-index", f"--find-links={tmp_path}")
    assert (code, err) == (1, "")  # there is no module m
    assert out == (
        "Install: one-agent 1.0, one-user 1.0\n"
        "  with it: one-helper 1.0\n"
        "Installed one-agent 1.0: agent support-one.\n"
        "Checked one-agent: no level; bronze is missing metadata, imports, agents, builds (openrtc check one-agent).\n"
        "Installed one-user 1.0: no agent, plugin or command of OpenRTC.\n"
    )

    build_wheel(tmp_path, "one-helper", "2.0")
    two = build_wheel(tmp_path, "two-agent", "1.0", "one-helper>=2", agent="support-one")
    make_private_folder()
    workers = [
        SnapshotServer(snapshot_path(pid), partial(dict[str, Any], pid=pid, environment=at))
        for pid, at in ((1, str(tmp_path / "venv")), (2, "/else"))
    ]
    code, out, err = run("install", str(two), "--no-index", f"--find-links={tmp_path}", "--yes")
    for worker in workers:
        worker.close()
    assert (code, err) == (1, "")
    expected = (
        "Install: two-agent 1.0\n"
        "  which changes what is installed: one-helper 1.0 -> 2.0\n"
        "  and then does not fit: one-user 1.0 needs one-helper<2\n"
        "Installed two-agent 1.0: agent support-one.\n"
        "agent support-one cannot be used, conflict: "
        'one-agent also brings an agent "support-one" (in openrtc.toml: [plugins.prefer] support-one = "one-agent")\n'
        "Worker 1 goes on without what was installed: restart it, or roll what is under a supervisor by SIGHUP.\n"
    )
    assert out == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["install"], "no package is named"),
        (["install", "-U", "openrtc-core"], "openrtc-core is OpenRTC itself: its version stays"),
        (["upgrade", "pluggy"], "openrtc-core requires pluggy: its version stays"),
        (["uninstall", "Openrtc_Core"], "openrtc-core is OpenRTC itself: without it no agent runs"),
        (["uninstall", "livekit"], "openrtc-core requires livekit: without it"),
        (["uninstall", "my-agnt"], 'my-agnt is not installed (did you mean "my-agent"?)'),
        (["uninstall", "mine"], "mine is not installed (mine is of my-agent)"),
        (["uninstall", "my-helper"], "this needs a yes, and nobody can be asked here (add --yes)"),
    ],
)
def test_what_is_refused_is_one_line(
    words: list[str], said: str, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("my-helper")
    site.add("my-agent", agents={"mine": "m:C"}, requires=["my-helper"])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (said in err, err.count("\n")) == (True, 1)
    assert ("my-agent 1.0 needs my-helper" in out) == (words[-1] == "my-helper")


def test_somebody_at_a_terminal_is_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("my-agent")
    monkeypatch.setattr(sys, "stdin", stdin := io.StringIO("no\n"))
    monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)
    assert main(["uninstall", "my-agent"]) == 0
    assert capsys.readouterr().out == "Uninstall: my-agent 1.0\nGo on? [y/N] Nothing was changed.\n"
