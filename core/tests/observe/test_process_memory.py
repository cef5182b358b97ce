from __future__ import annotations

import os

import psutil
import pytest

from openrtc.observe.process_memory import resident_bytes


def test_the_memory_of_this_process_is_in_bytes() -> None:
    assert 5e6 < resident_bytes() < 5e9
    assert resident_bytes(os.getpid()) > 5e6


def test_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(psutil.NoSuchProcess):
        resident_bytes(2**31 - 1)
