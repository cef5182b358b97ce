"""What pip 26 and uv 0.13 print, where that is read; that they are run is in `core/tests/cli/test_install.py`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from openrtc.errors import OpenRTCError
from openrtc.installing.held import HeldVersions
from openrtc.installing.installer import Installer, PlannedChange
from openrtc.installing.wanted import Wanted

HELD = HeldVersions({"rich": "15.0.0"}, frozenset({"rich", "openai"}), ("rich==15.0.0", "openai>=3.19,<4"))
FOLDER = Wanted("./a", "a-pkg")

UV_PLAN = """\
Using Python 3.11.2 environment at: /venv
Resolved 79 packages in 1.05s
Would download 3 packages
Would uninstall 1 package
Would install 3 packages
 + a-pkg @ file:///work/a
 - pluggy==0.1
 + pluggy==99.0
 + cowsay==6.1
"""
PIP_CONFLICT = """\
ERROR: Cannot install a-pkg==0.1.0 because these package versions have conflicting dependencies.

The conflict is caused by:
    a-pkg 0.1.0 depends on rich<14
    The user requested (constraint) rich==15.0.0

To fix this you could try to:
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/
"""
UV_CONFLICT = """\
error: No solution found when resolving dependencies
  cause: Because you require openai<2 and openai>=3.19,<4, we can conclude that your requirements are unsatisfiable.
"""
UV_ABSENT = """\
error: No solution found when resolving dependencies
  cause: Because nope was not found in the package registry and you require nope, we can conclude …
"""
PIP_BUILD = """\
  error: subprocess-exited-with-error
  ╰─> [29 lines of output]
      Traceback (most recent call last):
      ValueError: Unable to determine which files to ship
      Another line
      [end of output]
error: metadata-generation-failed
"""
GIT = """\
  Running command git clone
  fatal: unable to access 'https://example.org/x.git/'
ERROR: Failed to build 'git+https://example.org/x.git'
"""
KEEPS = "keep their versions"


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the uv on the PATH prints before it fails, or without the word error does not; there is no pip."""
    program, printed = tmp_path / "bin" / "uv", tmp_path / "printed"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\ncat {printed}\n! grep -qi error {printed}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.setattr("openrtc.installing.installer.find_spec", lambda _: None)
    return printed


@pytest.mark.process
def test_uvs_plan_is_read_and_what_is_named_stands_first(answer: Path) -> None:
    answer.write_text(UV_PLAN)
    changes = Installer(HELD).plan([FOLDER, Wanted("cowsay", "cowsay", upgrade=True)], ["--pre"])
    assert [str(change) for change in changes[:2]] == ["a-pkg", "cowsay 6.1"]
    assert [(change.key, change.named) for change in changes] == [("a-pkg", True), ("cowsay", True), ("pluggy", False)]
    assert (changes[2].after, changes[2].before is not None) == ("99.0", True)
    words = answer.with_name("words").read_text()
    assert words.startswith(f"pip install --python {sys.executable} --no-progress --color=never --dry-run --pre ")
    assert words.endswith(" --reinstall-package a-pkg --upgrade-package cowsay ./a cowsay\n")


@pytest.mark.process
@pytest.mark.parametrize(
    ("printed", "said", "fix"),
    [
        (PIP_CONFLICT, "a-pkg 0.1.0 depends on rich<14; The user requested (constraint) rich==15.0.0", KEEPS),
        (UV_CONFLICT, "Because you require openai<2", KEEPS),
        (UV_ABSENT, "Because nope was not found", "look at its name"),
        (PIP_BUILD, "it cannot be built: ValueError: Unable to determine which files to ship", None),
        (GIT, "unable to access 'https://example.org/x.git/'", None),
    ],
)
def test_what_fails_is_one_line(answer: Path, printed: str, said: str, fix: str | None) -> None:
    answer.write_text(printed)
    with pytest.raises(OpenRTCError) as raised:
        Installer(HELD).plan([FOLDER], [])
    assert said in raised.value.message
    assert (fix or "") in (raised.value.fix or "")
    assert bool(fix) == bool(raised.value.fix)


def test_a_change_is_shown_with_both_versions() -> None:
    assert str(PlannedChange("a", "1", "2", True)) == "a 1 -> 2"
    assert str(PlannedChange("a", "1", "", True)) == "a 1 -> its new version"


def test_where_nothing_can_be_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openrtc.installing.installer.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OpenRTCError, match=r"neither pip is in .* nor uv on the PATH \(.* -m ensurepip, or install uv"):
        Installer(HELD)
    places = {"purelib": str(tmp_path / "missing"), "stdlib": str(tmp_path)}
    monkeypatch.setattr("sysconfig.get_path", lambda name: places[name])
    with pytest.raises(OpenRTCError, match="missing cannot be written to"):
        Installer(HELD)
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    with pytest.raises(OpenRTCError, match="is managed by the operating system .PEP 668. .install OpenRTC and its"):
        Installer(HELD)
