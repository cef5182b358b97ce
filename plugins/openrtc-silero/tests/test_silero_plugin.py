"""The plugin `openrtc_silero.plugin`, with the real model."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution

import pytest
from livekit.agents.vad import VAD, VADEventType
from livekit.rtc import AudioFrame

from openrtc_silero import plugin

RATE = 16_000
FRAME = RATE // 50


def test_the_distribution_announces_the_plugin_module() -> None:
    (entry,) = distribution("openrtc-silero").entry_points
    assert (entry.group, entry.name) == ("openrtc.plugins", "silero")
    assert entry.load() is plugin


@pytest.mark.process
def test_importing_the_plugin_and_asking_for_its_resources_imports_no_livekit() -> None:
    code = (
        "import sys; from openrtc_silero import plugin; plugin.openrtc_resources(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('livekit', 'onnxruntime', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_brings_one_resource_named_vad() -> None:
    (spec,) = plugin.openrtc_resources()
    assert spec.key == "vad"


async def test_the_loaded_model_hears_nothing_in_silence_on_two_streams_at_once() -> None:
    (spec,) = plugin.openrtc_resources()
    vad: VAD = spec.load()
    for stream in (vad.stream(), vad.stream()):
        for _ in range(50):
            stream.push_frame(AudioFrame(bytes(2 * FRAME), RATE, 1, FRAME))
        stream.end_input()
        events = [event.type async for event in stream]
        assert VADEventType.INFERENCE_DONE in events
        assert VADEventType.START_OF_SPEECH not in events
