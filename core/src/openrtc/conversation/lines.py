"""What the caller of ``openrtc call`` says: WAV files, or sentences in the offline voice."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

from livekit import rtc

from openrtc.config import Config
from openrtc.conversation.sound import resample, trim
from openrtc.errors import OpenRTCError

_SAMPLE_BYTES = 2
SAY = "say"


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say.

    Args:
        text: The words, or the name of the file.
        pcm: How it sounds: 16 kHz, mono, 16 bit, without silence before and after it.
    """

    text: str
    pcm: bytes


async def lines_of(wanted: list[tuple[str, str]], config: Config) -> list[Line]:
    """Return what to say, in order.

    Args:
        wanted: ``wav`` with the name of a file, or ``say`` with a sentence.
        config: The settings, which tell which packages may bring the voice.

    Raises:
        OpenRTCError: A file is none that can be played, or there is no voice here.
    """
    sentences = [value for kind, value in wanted if kind == SAY]
    spoken = dict(zip(sentences, await _spoken(sentences, config), strict=True)) if sentences else {}
    return [Line(value, spoken[value] if kind == SAY else read_wav(Path(value))) for kind, value in wanted]


def read_wav(path: Path) -> bytes:
    """Return a WAV file as 16 kHz, mono, 16 bit, without silence before and after it.

    Raises:
        OpenRTCError: It cannot be read, is not 16 bit PCM, or is silent.
    """
    fix = "give a WAV file of 16 bit samples with something to be heard"
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != _SAMPLE_BYTES:
                raise OpenRTCError(f"{path} has samples of {8 * file.getsampwidth()} bit", origin="--wav", fix=fix)
            rate, channels, count = file.getframerate(), file.getnchannels(), file.getnframes()
            samples = file.readframes(count)
    except (OSError, EOFError, wave.Error) as error:
        raise OpenRTCError(f"{path} cannot be read: {error}", origin="--wav", fix=fix) from error
    held = len(samples) // (_SAMPLE_BYTES * channels)
    pcm = trim(resample(rtc.AudioFrame(samples, rate, channels, held))) if held else b""
    if not pcm:
        raise OpenRTCError(f"{path} is silent", origin="--wav", fix=fix)
    return pcm


async def _spoken(sentences: list[str], config: Config) -> list[bytes]:
    from openrtc.conversation.voice import synthesize
    from openrtc.conversation.way import INSTALL_OFFLINE, find_voice
    from openrtc.discovery.discover import discover
    from openrtc.hooks.hooks import Hooks
    from openrtc.plugins.load import load_plugins
    from openrtc.providers.providers import Providers

    loaded = load_plugins(discover(config), config)
    hooks = Hooks(plugin for plugin in loaded.plugins if plugin.state == "ready")
    voice, why = find_voice(Providers(hooks, config.policy.prefer))
    if voice is None:
        raise OpenRTCError(
            f"there is no voice here: {why}", origin="--say", fix=f"{INSTALL_OFFLINE}, or give speech with --wav FILE"
        )
    try:
        return [await synthesize(voice, sentence) for sentence in sentences]
    finally:
        await voice.aclose()
