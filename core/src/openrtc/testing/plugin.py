"""The pytest plugin: its fixtures import what they need when a test asks for them.

It is imported in every test run of whoever has openrtc-core installed: at module level it needs pytest alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openrtc.settings.config import Config
    from openrtc.testing.fixtures import Install, Route, Runtimes, RunWorker, StartCall
    from openrtc.testing.worker_process import Workers


@pytest.fixture(scope="session")
def _openrtc_runtimes() -> Runtimes:
    from openrtc.testing.fixtures import Runtimes

    return Runtimes()


@pytest.fixture(scope="session")
def _openrtc_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    from openrtc.testing.worker_process import Workers

    with Workers(tmp_path_factory.mktemp("openrtc")) as workers:
        yield workers


@pytest.fixture
def openrtc_config() -> Config:
    """The settings of the calls and routes of this test; override it to have others. No file and no variable counts."""
    from openrtc.settings.config import Config

    return Config()


@pytest.fixture
def openrtc_call(openrtc_config: Config, _openrtc_runtimes: Runtimes, request: pytest.FixtureRequest) -> StartCall:
    """Build an agent as the worker would for a call, and talk to it in text, without keys and without a server."""
    from openrtc.testing.fixtures import StartCall

    return StartCall(openrtc_config, _openrtc_runtimes, request.path)


@pytest.fixture(name="openrtc_route")
def _openrtc_route(openrtc_config: Config) -> Route:
    """Find which agent would take a call, as ``openrtc route`` does."""
    from openrtc.testing.fixtures import Route

    return Route(openrtc_config)


@pytest.fixture
def openrtc_install(tmp_path: Any) -> Iterator[Install]:
    """Install a distribution for the time of this test: its modules can be imported, its entry points are found."""
    from openrtc.testing.fixtures import Install

    with Install(tmp_path / "openrtc-site") as install:
        yield install


@pytest.fixture
def openrtc_worker(_openrtc_workers: Workers, request: pytest.FixtureRequest) -> Iterator[RunWorker]:
    """Run a worker with all installed agents beside a LiveKit server of this machine, and call it with speech."""
    from openrtc.testing.fixtures import RunWorker

    install = request.getfixturevalue("openrtc_install") if "openrtc_install" in request.fixturenames else None
    with RunWorker(_openrtc_workers, install) as start:
        yield start
