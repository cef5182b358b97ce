"""Builds the page of the playground with Node, and looks whether what is committed is what its sources give.

``nox -s page`` builds; ``nox -s page -- --check`` builds elsewhere and compares.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLAYGROUND = ROOT / "plugins" / "openrtc-playground"
PAGE = PLAYGROUND / "page"
STATIC = PLAYGROUND / "src" / "openrtc_playground" / "static"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def install_packages() -> None:
    """Install what builds and tests the page, in the versions of its lock file, unless they are there.

    Raises:
        SystemExit: There is no Node, or the packages cannot be fetched.
    """
    if not all(shutil.which(name) for name in ("node", "npm")):
        raise SystemExit("the page is built with Node 20 or newer and npm, which are not on the PATH: install them")
    done = PAGE / "node_modules" / ".installed"
    lock = (PAGE / "package-lock.json").read_bytes()
    if not done.exists() or done.read_bytes() != lock:
        command = ["npm", "ci", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]
        if subprocess.run(command, cwd=PAGE, check=False).returncode:
            raise SystemExit("npm cannot install the page's packages: see above")
        done.write_bytes(lock)


def build(into: Path) -> None:
    """Build the page.

    Args:
        into: The folder, which is made anew.

    Raises:
        SystemExit: It cannot be built.
    """
    if subprocess.run(["node", "build.mjs", str(into)], cwd=PAGE, check=False).returncode:
        raise SystemExit("the page cannot be built: see above")


def check() -> None:
    """Build the page elsewhere and compare.

    Raises:
        SystemExit: What is committed is something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder).resolve() / "static"
        build(built)
        names = sorted({path.name for base in (built, STATIC) for path in base.iterdir()})
        _, different, missing = filecmp.cmpfiles(built, STATIC, names, shallow=False)
    if different or missing:
        what = ", ".join([*different, *missing])
        raise SystemExit(f"{STATIC.name}: {what} is not what page/ gives: run nox -s page, and commit what it writes")
    print(f"{len(names)} files are what page/ gives")


def need_chromium() -> None:
    """Install Debian's Chromium where it is missing and that is possible.

    Raises:
        SystemExit: It is missing still.
    """
    if any(map(shutil.which, BROWSERS)):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print("installing Chromium with apt: a minute", flush=True)
        subprocess.run([ROOT / ".ci" / "apt-install", "chromium"], check=False)
    if not any(map(shutil.which, BROWSERS)):
        raise SystemExit(
            "the page is tested in Chromium, which is not on the PATH and was not installed: apt install chromium"
        )


if __name__ == "__main__":
    install_packages()
    if "--check" in sys.argv[1:]:
        check()
    else:
        build(STATIC)
