from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

CODE = """
import sys
sys.path.insert(0, sys.argv[1])
import importlib.metadata
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
try:
    importlib.metadata.entry_points()
    sys.exit("nothing was wrong to begin with")
except Exception:
    pass
tolerate_unreadable_metadata()
assert importlib.metadata.entry_points(group="console_scripts")
import livekit.agents
"""


@pytest.mark.parametrize("content", [b"[openrtc.agents]\na = \xff\xfe:X\n", b"[openrtc.agents]\nno equals sign\n"])
def test_livekit_can_be_imported_beside_a_package_with_unreadable_entry_points(tmp_path: Path, content: bytes) -> None:
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (info / "entry_points.txt").write_bytes(content)
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_readable_metadata_is_left_to_importlib() -> None:
    code = (
        "import importlib.metadata as m; before = m.Distribution.entry_points;"
        "from openrtc.discovery.tolerance import tolerate_unreadable_metadata as t; t();"
        "assert m.Distribution.entry_points is before"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
