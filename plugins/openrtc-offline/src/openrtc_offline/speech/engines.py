"""Where synthetic speech comes from: flite or espeak-ng on the PATH, else the espeakng-loader wheel."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import re
import shutil
import subprocess
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from openrtc import OpenRTCError
from openrtc_offline.child_pool import ChildError, ChildPool, drop_secrets
from openrtc_offline.speech.installed import INSTALL_HINT

FLITE_VOICES = ("slt", "rms", "kal16", "awb")
ESPEAK_VOICES = ("en-us", "en-us+f3", "en-us+m3", "en-us+f2")
WORDS_A_MINUTE = 155
"""A little slower than espeak-ng's own 175."""

LIST_SECONDS = 10.0
"""How long a program may take to list its voices."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech.

    Args:
        pcm: Mono PCM16.
        sample_rate: Samples a second.
    """

    pcm: bytes
    sample_rate: int


class SpeechError(Exception):
    """An engine failed; the message is one line."""


class Engine(Protocol):
    """Something that speaks.

    Args:
        name: As in ``offline:flite``.
        voices: Voices that agents are given when they ask for none.
        sample_rate: Samples a second.
    """

    name: str
    voices: tuple[str, ...]
    sample_rate: int

    def has_voice(self, voice: str) -> bool:
        """Whether the engine has this voice."""

    async def speak(self, text: str, voice: str) -> Speech:
        """Return ``text`` spoken; raises `SpeechError`."""


class Flite:
    """The flite program: permissive licence, small, several voices."""

    name = "flite"
    sample_rate = 16_000

    def __init__(self, program: str) -> None:
        self._program = program
        self._all = _list_flite_voices(program)
        self.voices = tuple(voice for voice in FLITE_VOICES if voice in self._all) or self._all[:1]

    def has_voice(self, voice: str) -> bool:
        """Whether flite has this voice."""
        return voice in self._all

    async def speak(self, text: str, voice: str) -> Speech:
        """Return ``text`` spoken."""
        return _read_wav(await _run_program(self._program, "-voice", voice, "-t", text, "-o", "/dev/stdout"))


class EspeakNg:
    """The espeak-ng program (GPL, so a process for each piece of text)."""

    name = "espeak-ng"
    sample_rate = 22_050
    voices: tuple[str, ...] = ESPEAK_VOICES

    def __init__(self, program: str) -> None:
        self._program = program

    def has_voice(self, voice: str) -> bool:
        """Whether espeak-ng has this voice; the variant after ``+`` included."""
        language, _, variant = voice.partition("+")
        listed = _list_espeak(self._program, "--voices")
        known = {word for line in listed.splitlines()[1:] for word in line.split()[1:2]}
        variants = _list_espeak(self._program, "--voices=variant")
        return language in known and (not variant or bool(re.search(rf"!v/{re.escape(variant)}\b", variants)))

    async def speak(self, text: str, voice: str) -> Speech:
        """Return ``text`` spoken."""
        command = (self._program, "-v", voice, "-s", str(WORDS_A_MINUTE), "--stdin", "--stdout")
        return _read_wav(await _run_program(*command, stdin=text))


class EspeakLoader:
    """The espeak-ng library in the espeakng-loader wheel (GPL, so in a child process that all calls share)."""

    name = "espeak"
    sample_rate = 22_050
    voices: tuple[str, ...] = ESPEAK_VOICES

    def __init__(self, children: ChildPool) -> None:
        self._children = children

    def has_voice(self, voice: str) -> bool:
        """Whether the wheel has this voice; the variant after ``+`` included."""
        spec = importlib.util.find_spec("espeakng_loader")
        if spec is None or spec.origin is None:
            return False
        data = Path(spec.origin).parent / "espeak-ng-data"
        language, _, variant = voice.partition("+")
        languages = {path.name.lower() for path in (data / "lang").rglob("*") if path.is_file()}
        has_variant = not variant or (data / "voices" / "!v" / variant).is_file()
        return language in languages and has_variant

    async def speak(self, text: str, voice: str) -> Speech:
        """Return ``text`` spoken."""
        try:
            answer, pcm = await self._children.ask({"voice": voice, "text": text, "speed": WORDS_A_MINUTE})
        except ChildError as error:
            raise SpeechError(str(error)) from error
        return Speech(pcm, int(answer["sample_rate"]))


def find_engines(children: ChildPool) -> list[Engine]:
    """Return the engines that this machine has, the preferred one first.

    Args:
        children: Runs the espeakng-loader wheel when it is used.
    """
    engines: list[Engine] = []
    if flite := shutil.which("flite"):
        engines.append(Flite(flite))
    if espeak := shutil.which("espeak-ng"):
        engines.append(EspeakNg(espeak))
    if importlib.util.find_spec("espeakng_loader"):
        engines.append(EspeakLoader(children))
    return engines


def choose_voice(model: str, agent_name: str, engines: list[Engine]) -> tuple[Engine, str]:
    """Return the engine and voice for a model string.

    Args:
        model: Empty, an engine (``flite``), a voice (``slt``, ``en-us+f3``), or both (``flite/slt``).
        agent_name: An agent that asks for no voice always gets the same one of the engine's.
        engines: What this machine has.

    Raises:
        OpenRTCError: No such engine or voice.
    """
    if not engines:
        raise OpenRTCError("no speech synthesis on this machine", origin="offline", fix=INSTALL_HINT)
    wanted, _, voice = model.partition("/")
    named = [engine for engine in engines if engine.name == wanted]
    if named and not voice:
        return named[0], _pick_voice(agent_name, named[0])
    if not model:
        return engines[0], _pick_voice(agent_name, engines[0])
    for engine in named or engines:
        if engine.has_voice(voice or wanted):
            return engine, voice or wanted
    known = ", ".join(f"{engine.name} ({', '.join(engine.voices)}, …)" for engine in engines)
    raise OpenRTCError(f"no voice or engine {model!r}", origin=f"offline:{model}", fix=f"this machine has {known}")


def _pick_voice(agent_name: str, engine: Engine) -> str:
    # A checksum is the same in every process, hash() is not.
    return engine.voices[sum(agent_name.encode()) % len(engine.voices)]


async def _run_program(*command: str, stdin: str | None = None) -> bytes:
    source = asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=drop_secrets()
    )
    try:
        out, _ = await process.communicate(stdin.encode() if stdin is not None else None)
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode or not out:
        raise SpeechError(f"{Path(command[0]).name} ended with code {process.returncode}")
    return out


def _read_wav(data: bytes) -> Speech:
    """Read a WAV file whose lengths may be unset, as in a pipe."""
    with wave.open(io.BytesIO(data)) as header:
        sample_rate = header.getframerate()
    start = data.index(b"data") + 8
    return Speech(data[start:], sample_rate)


@cache
def _list_flite_voices(program: str) -> tuple[str, ...]:
    listing = subprocess.run([program, "-lv"], capture_output=True, text=True, timeout=LIST_SECONDS, check=False).stdout
    return tuple(listing.partition(":")[2].split())


@cache
def _list_espeak(program: str, option: str) -> str:
    return subprocess.run([program, option], capture_output=True, text=True, timeout=LIST_SECONDS, check=False).stdout
