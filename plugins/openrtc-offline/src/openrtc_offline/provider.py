"""`OfflineProvider`: the models behind strings that start with ``offline:``."""

from __future__ import annotations

import importlib.util
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openrtc import OpenRTCError
from openrtc_offline.recognition.installed import MISSING_RECOGNIZER, has_recognizer
from openrtc_offline.speech.installed import MISSING_ENGINE, has_engine

if TYPE_CHECKING:
    from openrtc import ProviderContext
    from openrtc_offline.child_pool import ChildPool

RECOGNIZERS = max(1, min(2, os.cpu_count() or 1))
"""Recogniser processes: one a core, and not more than two, since each holds an acoustic model."""


class OfflineProvider:
    """Speech to text, language model and text to speech that need no key, no network and no download.

    Child processes are shared by all models that this provider builds, and start at first use.
    """

    @cached_property
    def recognizers(self) -> ChildPool:
        """The processes that recognise speech."""
        from openrtc_offline.child_pool import ChildPool

        return ChildPool("openrtc_offline.recognition.process", RECOGNIZERS)

    @cached_property
    def speakers(self) -> ChildPool:
        """The process that speaks with the espeakng-loader wheel."""
        from openrtc_offline.child_pool import ChildPool

        return ChildPool("openrtc_offline.speech.process")

    def available(self) -> str | None:
        """Return None: the language model works wherever Python does."""
        return None

    def missing(self, kind: str) -> str | None:
        """Return None when this machine can listen or speak, whichever ``kind`` asks for, else what to install."""
        if kind == "stt" and not has_recognizer():
            return MISSING_RECOGNIZER
        return MISSING_ENGINE if kind == "tts" and not has_engine() else None

    def stt(self, model: str, context: ProviderContext) -> Any:
        """Return speech recognition for this agent; ``model`` is empty or ``pocketsphinx``."""
        _check_model("stt", model, ("pocketsphinx",))
        from openrtc_offline.recognition.stt import OfflineSTT
        from openrtc_offline.recognition.vocabulary import CurrentVocabulary

        vocabulary = CurrentVocabulary(context.agent, context.agent_name, context.examples)
        recognition = OfflineSTT(self.recognizers, vocabulary)
        recognition.prewarm()
        return recognition

    def llm(self, model: str, context: ProviderContext) -> Any:
        """Return the rule-based language model; ``model`` is empty or ``rules``."""
        _check_model("llm", model, ("rules",))
        from openrtc_offline.rules.llm import RuleLLM

        return RuleLLM(context.agent_name, context.agent)

    def tts(self, model: str, context: ProviderContext) -> Any:
        """Return speech synthesis; ``model`` is empty, an engine, a voice, or ``engine/voice``."""
        from openrtc_offline.speech.engines import choose_voice, find_engines
        from openrtc_offline.speech.tts import OfflineTTS

        return OfflineTTS(*choose_voice(model, context.agent_name, find_engines(self.speakers)))

    def prewarm(self) -> None:
        """Import what the first call would otherwise wait for."""
        hearing = ("recognition.vocabulary", "recognition.stt") if has_recognizer() else ()
        for module in (*hearing, "rules.llm", "speech.engines", "speech.tts"):
            importlib.import_module(f"openrtc_offline.{module}")
        if has_engine():
            from openrtc_offline.speech.engines import find_engines

            find_engines(self.speakers)  # flite is asked for its voices once

    def close(self) -> None:
        """End all child processes; models that are built later get new ones."""
        for pool in (self.__dict__.pop("recognizers", None), self.__dict__.pop("speakers", None)):
            if pool is not None:
                pool.close()


def _check_model(kind: str, model: str, known: tuple[str, ...]) -> None:
    if model and model not in known:
        raise OpenRTCError(
            f"no offline {kind} model {model!r}",
            origin=f"offline:{model}",
            fix=f"write {' or '.join(repr(f'offline:{name}') for name in ('', *known))}",
        )
