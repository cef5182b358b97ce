from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest

from openrtc.model.resource import ResourceSpec, ResourceUnavailable
from openrtc.runtime.resources import MissingResource, Resources


def loaded(*offered: tuple[ResourceSpec, str], prefer: dict[str, str] | None = None) -> Resources:
    resources = Resources(prefer)
    asyncio.run(resources.load(offered))
    return resources


def spec(key: str, value: Any = "value") -> ResourceSpec:
    return ResourceSpec(key=key, load=lambda: value)


def test_a_resource_is_loaded_once_and_its_cost_is_on_record() -> None:
    counted: list[int] = []

    def load() -> str:
        counted.append(1)
        return "model"

    resources = loaded((ResourceSpec(key="vad", load=load), "silero"))
    assert [resources["vad"] for _ in range(3)] == ["model"] * 3
    assert counted == [1]
    (record,) = resources.records
    assert (record.key, record.distribution, record.ready) == ("vad", "silero", True)
    assert record.ms >= 0 and record.memory_mb >= 0


def test_an_async_load_is_awaited() -> None:
    async def load() -> str:
        await asyncio.sleep(0)
        return "index"

    assert loaded((ResourceSpec(key="faq", load=load), "faq-pkg"))["faq"] == "index"


def test_two_loaders_for_one_key_are_a_conflict_until_one_is_preferred() -> None:
    both = ((spec("vad", 1), "One_Dist"), (spec("vad", 2), "two"))
    resources = loaded(*both)
    assert "vad" not in resources
    assert "One_Dist and two" in resources.records[0].reason
    assert "prefer" in resources.records[0].fix
    assert loaded(*both, prefer={"vad": "one-dist"})["vad"] == 1


@pytest.mark.parametrize("fault", [ValueError("no disk"), SystemExit(2), MemoryError()])
def test_a_load_that_fails_names_its_package_and_the_others_are_loaded(fault: BaseException) -> None:
    def load() -> None:
        raise fault

    resources = loaded((ResourceSpec(key="bad", load=load), "bad-pkg"), (spec("good"), "good-pkg"))
    assert resources["good"] == "value"
    with pytest.raises(MissingResource, match="bad-pkg") as raised:
        resources["bad"]
    assert type(fault).__name__ in str(raised.value)


def test_what_is_unavailable_is_told_in_one_line_with_its_fix(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> None:
        raise ResourceUnavailable("model files are missing", fix="openrtc download-files")

    with caplog.at_level(logging.WARNING):
        loaded((ResourceSpec(key="turn_detection", load=load), "td"))
    (record,) = caplog.records
    assert "td" in record.getMessage() and "openrtc download-files" in record.getMessage()
    assert record.exc_info is None


def test_a_resource_that_nobody_brings_says_so() -> None:
    with pytest.raises(KeyError, match="no installed plugin brings the resource 'faq'"):
        Resources()["faq"]


def test_closing_goes_backwards_and_survives_what_a_close_raises(caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def close(value: str) -> None:
        closed.append(value)

    def fails(value: str) -> None:
        closed.append(value)
        raise RuntimeError("stuck")

    specs = [
        ResourceSpec(key="a", load=lambda: "a", close=close),
        ResourceSpec(key="b", load=lambda: "b", close=fails),
        ResourceSpec(key="c", load=lambda: "c", close=close),
    ]
    resources = loaded(*((one, "pkg") for one in specs))
    asyncio.run(resources.aclose())
    assert closed == ["c", "b", "a"]
    assert "stuck" in caplog.text
    assert len(resources) == 0


@pytest.mark.process
def test_resources_do_not_import_livekit() -> None:
    import subprocess

    code = "import sys, openrtc.runtime.resources, openrtc.plugins.hooks; sys.exit('livekit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
