"""The pip of this environment, or uv where it has none: asked what it would change, and let do it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from openrtc.discovery.installed import find_named
from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import name_requirement
from openrtc.installing.held import HeldVersions
from openrtc.installing.wanted import Wanted
from openrtc.model.names import OWN_DISTRIBUTION, normalise_name

UNBROKEN_LINE = {"COLUMNS": "500", "NO_COLOR": "1", "PIP_NO_COLOR": "1"}

_CONFLICT = re.compile(r"The conflict is caused by:\n((?: +\S.*\n)+)")
_GIT = re.compile(r"^\s*fatal: (.+)$", re.MULTILINE)
_BUILD = re.compile(r"\[end of output\]|\[stderr\]")
_RAISED = re.compile(r"^\s*(?:[│|] )?((?:\w+\.)*\w*(?:Error|Exception): .+)$", re.MULTILINE)
_ERROR = re.compile(r"^ERROR: (.+)$", re.MULTILINE)
_ERROR_OF_UV = re.compile(r"^\s*(?:error|×): (.+)", re.MULTILINE | re.DOTALL)
_CHANGE_OF_UV = re.compile(r"^ ([-+~]) ([\w.-]+)(?:==(\S+)| @ \S+)", re.MULTILINE)


class PlannedChange(NamedTuple):
    """What an installation does to one distribution.

    Args:
        key: Its normalised name.
        before: The version that is installed; None where none is.
        after: The version that will be; None where it goes, empty where only its build will tell.
        named: Whether it was asked for by itself.
    """

    key: str
    before: str | None
    after: str | None
    named: bool

    def __str__(self) -> str:
        after = self.after or ("its new version" if self.before else "")
        return f"{self.key} {self.before} -> {after}" if self.before else f"{self.key} {after}".strip()


class Installer:
    """pip or uv, for this interpreter.

    Args:
        held: What may not change.

    Raises:
        OpenRTCError: Nothing can be installed here.
    """

    def __init__(self, held: HeldVersions) -> None:
        _require_writable()
        self._held = held
        self.name = "pip"
        if find_spec("pip"):
            self._command, self._after = [sys.executable, "-P", "-m", "pip"], ["--no-input"]
        elif uv := shutil.which("uv"):
            self.name = "uv"
            self._command, self._after = [uv, "pip"], ["--python", sys.executable, "--no-progress", "--color=never"]
        else:
            fix = f"{sys.executable} -m ensurepip, or install uv"
            raise OpenRTCError(f"neither pip is in {sys.prefix} nor uv on the PATH", fix=fix)

    def plan(self, wanted: Sequence[Wanted], options: Sequence[str]) -> list[PlannedChange]:
        """Return what installing these would change, the named ones first; nothing is changed.

        Args:
            wanted: What is to be installed.
            options: Further options, which pip and uv share.

        Raises:
            OpenRTCError: It cannot be installed.
        """
        names = {one.key for one in wanted if one.key}
        with _write_constraints(self._held) as constraints:
            report = Path(constraints).with_name("report.json")
            more = ["--report", str(report)] if self.name == "pip" else []
            printed = self._run("install", "--dry-run", *more, *self._arguments(wanted, options, constraints))
            planned = list(_read_report(report) if more else _read_changes(printed))
        installed = find_named()
        changes = [
            PlannedChange(key, installed[key].version if key in installed else None, version, direct or key in names)
            for key, version, direct in planned
        ]
        return sorted(changes, key=lambda change: (not change.named, change.before is None, change.key))

    def install(self, wanted: Sequence[Wanted], options: Sequence[str]) -> None:
        """Install these, as `plan` has them.

        Raises:
            OpenRTCError: It fails.
        """
        with _write_constraints(self._held) as constraints:
            self._run("install", *self._arguments(wanted, options, constraints))

    def uninstall(self, names: Sequence[str]) -> None:
        """Take distributions out of this environment.

        Raises:
            OpenRTCError: It fails.
        """
        self._run("uninstall", *(["--yes"] if self.name == "pip" else []), *names)

    def _arguments(self, wanted: Sequence[Wanted], options: Sequence[str], constraints: str) -> Iterator[str]:
        yield from options
        yield from ("--constraint", constraints)
        if self.name == "uv":
            # Its own --upgrade is for everything, and it takes a folder that it has seen for unchanged.
            for one in wanted:
                if one.key and (one.is_direct or one.upgrade):
                    yield from ("--reinstall-package" if one.is_direct else "--upgrade-package", one.key)
        elif any(one.upgrade for one in wanted):
            yield "--upgrade"
        for one in wanted:
            yield from ("--editable", one.text) if one.editable else (one.text,)

    def _run(self, *words: str) -> str:
        try:
            done = subprocess.run(
                [*self._command, words[0], *self._after, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **UNBROKEN_LINE},
                check=False,
            )
        except OSError as error:
            raise OpenRTCError(f"{self._command[0]} cannot be started: {error.strerror}") from error
        if done.returncode:
            raise OpenRTCError(f"{self.name}: {_find_reason(done.stdout)}", fix=_find_fix(done.stdout, self._held))
        return done.stdout


def _require_writable() -> None:
    folder = sysconfig.get_path("purelib")
    marked = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    apart = "install OpenRTC and its agents into an environment of their own: python3 -m venv .venv"
    if sys.prefix == sys.base_prefix and os.path.exists(marked):
        raise OpenRTCError(f"{sys.prefix} is managed by the operating system (PEP 668)", fix=apart)
    if not os.access(folder, os.W_OK):
        raise OpenRTCError(f"{folder} cannot be written to", fix=f"as its owner, or {apart}")


@contextmanager
def _write_constraints(held: HeldVersions) -> Iterator[str]:
    """Write what pip or uv may not change into a file, for as long as it reads it."""
    with tempfile.TemporaryDirectory(prefix="openrtc-install-") as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text("".join(f"{line}\n" for line in held.constraints), encoding="utf-8")
        yield str(path)


def _read_report(report: Path) -> Iterator[tuple[str, str, bool]]:
    for one in json.loads(report.read_text(encoding="utf-8"))["install"]:
        yield normalise_name(one["metadata"]["name"]), one["metadata"]["version"], bool(one["requested"])


def _read_changes(printed: str) -> Iterator[tuple[str, str, bool]]:
    for sign, name, version in _CHANGE_OF_UV.findall(printed):
        if sign != "-":
            yield normalise_name(name), version, not version


def _find_reason(printed: str) -> str:
    """Return why pip or uv has failed, in one line of what it prints."""
    if conflict := _CONFLICT.search(printed):
        return one_line("; ".join(line.strip() for line in conflict[1].splitlines()))
    if fatal := _GIT.search(printed):
        return one_line(fatal[1])
    if _BUILD.search(printed) and (raised := _RAISED.findall(printed)):
        return one_line(f"it cannot be built: {raised[-1]}")
    if errors := _ERROR.findall(printed):
        return one_line(errors[-1])
    found = _ERROR_OF_UV.search(printed)
    return one_line(found[1] if found else printed.strip().rpartition("\n")[2] or "it failed, and said nothing")


def _find_fix(printed: str, held: HeldVersions) -> str | None:
    names = "|".join(re.escape(name_requirement(line)) for line in held.constraints)
    if "(constraint)" in printed or (
        "unsatisfiable" in printed and names and re.search(rf"\b({names})[=<>!~]", printed)
    ):
        return (
            f"{OWN_DISTRIBUTION} and what it requires keep their versions, since all agents here run on them: "
            "take another release of it, or an environment apart"
        )
    if "No matching distribution" in printed or "not found in the package registry" in printed:
        return "look at its name; a path begins with ./, and --index-url names another index"
    return None
