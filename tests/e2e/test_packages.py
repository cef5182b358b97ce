"""`e2e.packages`: packages that are really found; `test_commands.py` builds, installs and uninstalls one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from e2e.child import environment
from e2e.packages import Package

LIST = (
    "from importlib.metadata import entry_points; "
    "print([(e.name, e.value, e.dist.name, e.dist.version) for e in entry_points(group='openrtc.agents') "
    "if e.dist.name.startswith('e2e-')])"
)
PACKAGE = Package(
    name="e2e-greeter",
    modules={"e2e_greeter/__init__.py": 'WORD = "hello"\n'},
    agents={"greeter": "e2e_greeter:WORD"},
    requires=("livekit-agents>=1.8,<1.9",),
    summary="Greets.",
)


def test_a_package_in_a_folder_is_found_by_its_metadata(tmp_path: Path) -> None:
    PACKAGE.install_into(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", LIST + "; import e2e_greeter; print(e2e_greeter.WORD)"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["[('greeter', 'e2e_greeter:WORD', 'e2e-greeter', '1.0.0')]", "hello"]


def test_metadata_can_be_given_byte_by_byte_and_left_out(tmp_path: Path) -> None:
    Package(name="e2e-bad", entry_points=b"\xff\xfe[", metadata=b"").install_into(tmp_path)
    info = tmp_path / "e2e_bad-1.0.0.dist-info"
    assert (info / "entry_points.txt").read_bytes() == b"\xff\xfe["
    assert not (info / "METADATA").exists()
