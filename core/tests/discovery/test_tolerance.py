from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

CODE = """
import sys
import importlib.metadata
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    try:
        importlib.metadata.entry_points()
        sys.exit("nothing was wrong to begin with")
    except Exception:
        sys.path.remove(folder)
sys.path[:0] = sys.argv[1:]
tolerate_unreadable_metadata()
assert importlib.metadata.entry_points(group="console_scripts")
import livekit.agents
"""


def test_livekit_can_be_imported_beside_packages_with_unreadable_entry_points(tmp_path: Path) -> None:
    folders = []
    for name, content in (("bytes", b"a = \xff\xfe:X"), ("line", b"no equals sign")):
        folders.append(str(tmp_path / name))
        info = tmp_path / name / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_bytes(b"[openrtc.agents]\n" + content + b"\n")
    done = subprocess.run([sys.executable, "-c", CODE, *folders], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readable_metadata_is_left_to_importlib() -> None:
    code = (
        "import importlib.metadata as m; before = m.Distribution.entry_points;"
        "from openrtc.discovery.tolerance import tolerate_unreadable_metadata as t; t();"
        "assert m.Distribution.entry_points is before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
