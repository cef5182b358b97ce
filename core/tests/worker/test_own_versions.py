"""A job process has the code of OpenRTC and livekit-agents that its worker has, or does not start."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from openrtc.discovery.loaded_distributions import LoadedDistributions
from openrtc.model.names import OWN_DISTRIBUTION
from openrtc.worker import own_versions
from openrtc.worker.own_versions import PRELOADED, find_foreign_code, read_own_versions


def test_what_was_imported_before_the_fork_counts_and_else_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = LoadedDistributions.from_entries(())
    there = read_own_versions()
    assert set(there) == {OWN_DISTRIBUTION, "livekit-agents"} and find_foreign_code(worker) is None
    monkeypatch.setattr(own_versions, "read_own_versions", lambda: {**there, OWN_DISTRIBUTION: "99.0"})
    ours = f"{OWN_DISTRIBUTION} 99.0 is not what this worker has loaded, {there[OWN_DISTRIBUTION]}"
    assert find_foreign_code(worker) == ours
    monkeypatch.setitem(sys.modules, PRELOADED, SimpleNamespace(VERSIONS=there))
    assert find_foreign_code(worker) is None
