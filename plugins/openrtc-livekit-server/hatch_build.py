"""Builds the LiveKit server with Go and puts it into the wheel as the command `livekit-server`."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULE = "github.com/livekit/livekit-server"
GO_NEEDED = (1, 26)
FIRST_SELF_UPDATING_GO = (1, 21)
"""From this version on Go fetches a newer toolchain by itself, where GOTOOLCHAIN lets it."""

SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
LICENSE_FILES = ("LICENSE", "NOTICE")
COMPILER_GOGC = "400"
"""How far the compiler's memory grows between two collections, in percent; with Go's 100 it collects a tenth longer."""


class BuildError(Exception):
    """The server cannot be built; the text is the one line that the user sees."""


class Target(NamedTuple):  # no dataclass: these need their module in sys.modules, where hatchling does not put it
    """What the server is built for.

    Args:
        version: The server's version, such as ``1.13.5``.
        system: Go's name of the operating system.
        machine: Go's name of the processor.
    """

    version: str
    system: str
    machine: str

    @classmethod
    def here(cls, version: str) -> Target:
        """Return what the running Python needs."""
        machine = platform.machine().lower()
        if sys.platform not in SYSTEMS or machine not in MACHINES:
            raise BuildError(f"the LiveKit server is not built for {sys.platform} on {machine} here")
        return cls(version, SYSTEMS[sys.platform], MACHINES[machine])

    @property
    def binary_name(self) -> str:
        """File name of the server."""
        return "livekit-server.exe" if self.system == "windows" else "livekit-server"

    @property
    def folder(self) -> Path:
        """The folder in the user's cache that keeps what was built; openrtc.server.find holds the same rule."""
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        name = f"{self.version}-{self.system}-{self.machine}"
        return Path(home).expanduser() / "openrtc" / "livekit-server" / name

    @property
    def wheel_platform(self) -> str:
        """Platform tag of the wheel: the binary is static, so it asks nothing of the system's libraries.

        An index takes no wheel that is tagged plain ``linux``; a static program suits glibc and musl alike.
        """
        arm = self.machine == "arm64"
        linux = "aarch64" if arm else "x86_64"
        return {
            "linux": f"manylinux_2_17_{linux}.musllinux_1_1_{linux}",
            "darwin": "macosx_12_0_arm64" if arm else "macosx_12_0_x86_64",
            "windows": "win_arm64" if arm else "win_amd64",
        }[self.system]


class ServerBuildHook(BuildHookInterface[Any]):
    """Adds the built server to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the server unless the cache holds it, and add it to the wheel's scripts."""
        try:
            target = Target.here(self.metadata.version)
            if not (target.folder / target.binary_name).is_file():
                go = find_go()
                self.app.display_waiting(f"building livekit-server {target.version} with Go: 2 to 4 minutes")
                build(target, go)
        except BuildError as error:
            self.app.abort(f"openrtc-livekit-server: {error}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{target.wheel_platform}"
        build_data["shared_scripts"][str(target.folder / target.binary_name)] = target.binary_name
        for name in LICENSE_FILES:
            if (target.folder / name).is_file():
                build_data["extra_metadata"][str(target.folder / name)] = f"livekit-server/{name}"


def build(target: Target, go: str) -> None:
    """Build the server into its cache folder, which appears as a whole or not at all."""
    try:
        target.folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.folder.parent, prefix=".build-") as scratch:
            result = Path(scratch) / "result"
            install(go, target, result)
            copy_license_files(go, target, result)
            publish(result, target)
    except OSError as error:
        raise BuildError(f"cannot keep the built server ({error}); XDG_CACHE_HOME chooses another folder") from error


def find_go() -> str:
    """Return the path of a Go that can build the server."""
    needed = ".".join(map(str, GO_NEEDED))
    advice = f"install Go {needed} or newer (the package `golang` or `go` of most systems) and try again"
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"the LiveKit server is built with Go, and there is no `go` on the PATH: {advice}")
    facts = json.loads(run([go, "env", "-json", "GOVERSION", "GOTOOLCHAIN"]))
    found = re.match(r"go(\d+)\.(\d+)", facts["GOVERSION"])
    have = (int(found[1]), int(found[2])) if found else GO_NEEDED
    fetches = have >= FIRST_SELF_UPDATING_GO and facts["GOTOOLCHAIN"] != "local"
    if have < GO_NEEDED and not fetches:
        raise BuildError(f"the LiveKit server needs Go {needed}, and {go} is {facts['GOVERSION']}: {advice}")
    return go


def install(go: str, target: Target, result: Path) -> None:
    """Build the server with the user's own Go settings, statically, into the folder ``result``."""
    own = {"CGO_ENABLED": "0", "GOBIN": str(result), "GOOS": target.system, "GOARCH": target.machine}
    own["GOGC"] = COMPILER_GOGC
    package = f"{MODULE}/cmd/server@v{target.version}"
    # What debuggers want is left out of the result, and so need not be compiled either.
    run([go, "install", "-trimpath", "-gcflags=all=-dwarf=false", "-ldflags=-s -w", package], own)
    suffix = Path(target.binary_name).suffix
    (result / f"server{suffix}").rename(result / target.binary_name)


def copy_license_files(go: str, target: Target, result: Path) -> None:
    """Copy the server's licence and notice beside it, as Apache-2.0 asks of whoever passes it on."""
    module = json.loads(run([go, "mod", "download", "-json", f"{MODULE}@v{target.version}"]))
    for name in LICENSE_FILES:
        shutil.copyfile(Path(module["Dir"]) / name, result / name)


def publish(result: Path, target: Target) -> None:
    """Move the finished folder to its place, unless a second build has done so meanwhile."""
    try:
        result.rename(target.folder)
    except OSError:
        if not (target.folder / target.binary_name).is_file():
            raise


def run(command: list[str], own: dict[str, str] | None = None) -> str:
    """Return what the command prints; when it fails, its last line is the error."""
    # Elsewhere, since in a folder with a go.mod Go would take that module's versions.
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, env=os.environ | (own or {}), cwd=folder, capture_output=True, text=True, check=False
        )
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        last = lines[-1] if lines else f"exit code {done.returncode}"
        raise BuildError(f"`{' '.join(['go', *command[1:]])}` failed: {last}")
    return done.stdout
