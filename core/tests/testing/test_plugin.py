from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOREIGN = """
import sys

def test_nothing_of_openrtc_is_imported_but_the_plugin(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("openrtc")
    ours = sorted(name for name in sys.modules if name.partition(".")[0] in ("openrtc", "livekit"))
    assert ours == ["openrtc", "openrtc.testing", "openrtc.testing.plugin"]
"""


@pytest.mark.process
def test_a_foreign_projects_tests_import_nothing_but_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_foreign.py").write_text(FOREIGN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:asyncio", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
