"""Checks what built wheels hold: ``python tests/wheels/check_contents.py FOLDER OTHER``, as in ``nox -s wheels``.

FOLDER holds the sdists and the wheels that were built from them, OTHER the wheels that were built from the tree.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVER = "openrtc_livekit_server"
PACKAGES = {"openrtc_core": "openrtc"}
"""Where the package is not called as the distribution is."""
INDEX_LIMIT = 100_000_000
"""Bytes that an index takes in one file, unless it is asked for more."""


def find_faults(wheel: Path, from_tree: Path) -> Iterator[str]:
    """Yield what is wrong with a wheel, one line each."""
    name, version = wheel.name.split("-")[:2]
    package, info = PACKAGES.get(name, name), f"{name}-{version}.dist-info"
    server = f"{name}-{version}.data/scripts/livekit-server"
    with zipfile.ZipFile(wheel) as archive:
        files = set(archive.namelist())
        read = {file: archive.read(file) for file in files if file.startswith(f"{info}/")}
    needed = {f"{package}/__init__.py", f"{package}/py.typed", f"{info}/licenses/LICENSE"}
    if name == SERVER:
        needed |= {server, f"{info}/licenses/NOTICE"}
        needed |= {f"{info}/extra_metadata/livekit-server/{file}" for file in ("LICENSE", "NOTICE")}
    elif version != (ROOT / "VERSION").read_text().strip():
        yield "its version is not that of the file VERSION"
    yield from (f"{file} is missing" for file in sorted(needed - files))
    strange = [file for file in files - needed if not file.startswith((f"{package}/", f"{info}/"))]
    strange += [file for file in files if "__pycache__" in file or "/tests/" in file]
    yield from (f"{file} does not belong into it" for file in sorted(strange))
    if read.get(f"{info}/licenses/LICENSE") != (ROOT / "LICENSE").read_bytes():
        yield "its licence is not that of the project"
    if not from_tree.is_file() or from_tree.read_bytes() != wheel.read_bytes():
        yield "built from the sdist it is not the same, byte by byte, as built from the tree"
    if wheel.stat().st_size > INDEX_LIMIT:
        yield "it is too large for an index"


def main(folder: Path, other: Path) -> int:
    """Print one line for each wheel and fault; return the exit code."""
    wheels, sdists = sorted(folder.glob("*.whl")), list(folder.glob("*.tar.gz"))
    faults = [] if wheels and len(wheels) == len(sdists) else [f"{len(wheels)} wheels, {len(sdists)} sdists"]
    for wheel in wheels:
        found = list(find_faults(wheel, other / wheel.name))
        print(f"{wheel.name}  {wheel.stat().st_size:,} bytes  {'; '.join(found) or 'good'}")
        faults += found
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
