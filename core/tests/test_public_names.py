from __future__ import annotations

import subprocess
import sys

import pytest

import openrtc


def test_the_public_names_are_sorted_and_all_exist() -> None:
    assert openrtc.__all__ == sorted(openrtc.__all__)
    assert all(getattr(openrtc, name) is not None for name in openrtc.__all__)
    assert set(openrtc.__all__) <= set(dir(openrtc))


@pytest.mark.process
def test_importing_openrtc_and_its_names_imports_no_livekit() -> None:
    code = """
import sys, openrtc
early = sorted(name for name in sys.modules if name.startswith("openrtc"))
assert early == ["openrtc"], early
[getattr(openrtc, name) for name in openrtc.__all__]
assert not [name for name in sys.modules if name.startswith("livekit")]
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(openrtc, "Agent")
