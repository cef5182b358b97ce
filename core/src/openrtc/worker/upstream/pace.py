"""Every private name of livekit-agents' pace of transcripts that OpenRTC uses, and nothing else.

livekit-agents works out how fast a voice speaks from overlapping windows, each as a whole, frame by frame: 1.3 ms of
the loop for each 0.1 s that an agent speaks. `SpectralFlux` looks only at what is new, at once.
"""

from __future__ import annotations

from typing import Any

from livekit.agents.voice.transcription._speaking_rate import SpeakingRateStream

from openrtc.worker.speed.digest import changed
from openrtc.worker.speed.spectral_flux import Audio, SpectralFlux

_KNOWN = {"SpeakingRateStream": (SpeakingRateStream, ("e7c20889dd5e93ec",))}

_flux_as_upstream = SpeakingRateStream._spectral_flux


def why_pace_not_kept() -> str | None:
    """Return None when livekit-agents works out the pace in the way that `keep_pace` equals, else what differs."""
    return ", ".join(changed(_KNOWN)) or None


def keep_pace() -> None:
    """From now on, work out how fast a voice speaks from what is new of it."""
    SpeakingRateStream._spectral_flux = _flux  # type: ignore[assignment, method-assign]


def pace_as_upstream() -> None:
    """Undo `keep_pace`."""
    SpeakingRateStream._spectral_flux = _flux_as_upstream  # type: ignore[method-assign]


def _flux(stream: Any, audio: Audio, sample_rate: int) -> float:
    if not hasattr(stream, "_flux"):
        stream._flux = SpectralFlux(stream._step_size_samples)
    return stream._flux.of(audio, sample_rate)  # type: ignore[no-any-return]
