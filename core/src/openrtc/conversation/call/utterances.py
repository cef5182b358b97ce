"""What the caller of ``openrtc call`` says: WAV files, or sentences in the offline voice."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

from livekit import rtc

from openrtc.conversation.offline import find_voice
from openrtc.conversation.speech import resample, synthesize, trim_silence
from openrtc.discovery.discover import discover
from openrtc.errors import OpenRTCError
from openrtc.install_commands import install_command
from openrtc.model.status import State
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.load import load_plugins
from openrtc.runtime.providers import OFFLINE_DISTRIBUTION, Providers
from openrtc.settings.config import Config

SAY = "say"
_SAMPLE_BYTES = 2  # 16 bit


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something to say.

    Args:
        text: The words, or the name of the file.
        pcm: How it sounds: 16 kHz, mono, 16 bit, without silence before and after it.
    """

    text: str
    pcm: bytes


async def prepare_utterances(asked: list[tuple[str, str]], config: Config) -> list[Utterance]:
    """Return what to say, in order.

    Args:
        asked: ``wav`` with the name of a file, or ``say`` with a sentence.
        config: The settings, which say which packages may bring the voice.

    Raises:
        OpenRTCError: A file cannot be played, or there is no voice here.
    """
    sentences = [value for kind, value in asked if kind == SAY]
    spoken = dict(zip(sentences, await _synthesize_all(sentences, config), strict=True)) if sentences else {}
    return [Utterance(value, spoken[value] if kind == SAY else read_wav(Path(value))) for kind, value in asked]


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
    # A file that was cut off holds fewer samples than its header says.
    held = len(samples) // (_SAMPLE_BYTES * channels)
    pcm = trim_silence(resample(rtc.AudioFrame(samples, rate, channels, held))) if held else b""
    if not pcm:
        raise OpenRTCError(f"{path} is silent", origin="--wav", fix=fix)
    return pcm


async def _synthesize_all(sentences: list[str], config: Config) -> list[bytes]:
    loaded = load_plugins(discover(config), config)
    hooks = Hooks(plugin for plugin in loaded.plugins if plugin.state is State.READY)
    voice, problem = find_voice(Providers(hooks, config.policy.prefer))
    if voice is None:
        fix = f"{install_command(OFFLINE_DISTRIBUTION)}, or give speech with --wav FILE"
        raise OpenRTCError(f"there is no voice here: {problem}", origin="--say", fix=fix)
    try:
        return [await synthesize(voice, sentence) for sentence in sentences]
    finally:
        await voice.aclose()
