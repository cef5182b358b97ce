"""`probe`: entries are imported as a command does it, in copies of a process that has imported livekit-agents."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from e2e.worker_template import worker_template

if TYPE_CHECKING:
    from conftest import Site
    from openrtc.catalog.loaded import LoadedAgent
    from openrtc.discovery.entries import Entry

PROBE = """
import pickle, sys
from pathlib import Path
from openrtc.plugins.probe.probe import probe_all

entries, options = pickle.loads(Path(sys.argv[1]).read_bytes())
Path(sys.argv[2]).write_bytes(pickle.dumps(probe_all(entries, **options)))
"""


@pytest.fixture
def probe(site: Site) -> Callable[..., list[LoadedAgent]]:
    """`probe_all`: a process of tests has threads and cannot be copied: there, each would import livekit-agents."""

    def run(entries: Sequence[Entry], **options: Any) -> list[LoadedAgent]:
        asked, found = site.work.with_name("asked.pickle"), site.work.with_name("found.pickle")
        asked.write_bytes(pickle.dumps((entries, options)))
        done = site.fork(worker_template(), "-c", PROBE, str(asked), str(found))
        assert done.returncode == 0, done.stderr
        agents: list[LoadedAgent] = pickle.loads(found.read_bytes())
        return agents

    return run
