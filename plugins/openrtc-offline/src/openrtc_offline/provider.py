"""`OfflineProvider`: the models behind strings that start with ``offline:``."""

from __future__ import annotations

import importlib.util
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openrtc.errors import OpenRTCError
from openrtc_offline.speech.installed import MISSING, has_engine

if TYPE_CHECKING:
    from openrtc.providers.provider import ProviderContext
    from openrtc_offline.children import ChildPool

RECOGNIZERS = max(1, min(2, os.cpu_count() or 1))


class OfflineProvider:
    """Speech to text, language model and text to speech that need no key, no network and no download.

    Child processes are shared by all models that this provider builds, and started at first use.
    """

    @cached_property
    def recognizers(self) -> ChildPool:
        """The processes that recognise speech."""
        from openrtc_offline.children import ChildPool

        return ChildPool("openrtc_offline.recognition.process", RECOGNIZERS)

    @cached_property
    def speakers(self) -> ChildPool:
        """The process that speaks with the espeakng-loader wheel."""
        from openrtc_offline.children import ChildPool

        return ChildPool("openrtc_offline.speech.process")

    def available(self) -> str | None:
        """Return None when this machine can listen and speak, else what to install."""
        if importlib.util.find_spec("pocketsphinx") is None:
            return 'speech recognition is not installed: pip install "openrtc-offline"'
        return None if has_engine() else MISSING

    def stt(self, model: str, context: ProviderContext) -> Any:
        """Return speech recognition for this agent; ``model`` is empty or ``pocketsphinx``."""
        _expect("stt", model, ("pocketsphinx",))
        from openrtc_offline.recognition.current_vocabulary import CurrentVocabulary
        from openrtc_offline.recognition.stt import OfflineSTT

        vocabulary = CurrentVocabulary(context.agent, context.agent_name, context.examples)
        recognition = OfflineSTT(self.recognizers, vocabulary)
        recognition.prewarm()
        return recognition

    def llm(self, model: str, context: ProviderContext) -> Any:
        """Return the rule-based language model; ``model`` is empty or ``rules``."""
        _expect("llm", model, ("rules",))
        from openrtc_offline.rules.llm import RuleLLM

        return RuleLLM(context.agent_name, context.agent)

    def tts(self, model: str, context: ProviderContext) -> Any:
        """Return speech synthesis; ``model`` is empty, an engine, a voice, or ``engine/voice``."""
        from openrtc_offline.speech.engines import choose_voice, installed_engines
        from openrtc_offline.speech.tts import OfflineTTS

        return OfflineTTS(*choose_voice(model, context.agent_name, installed_engines(self.speakers)))

    def prewarm(self) -> None:
        """Import what the first call would otherwise wait for."""
        for module in (
            "recognition.current_vocabulary",
            "recognition.stt",
            "rules.llm",
            "speech.engines",
            "speech.tts",
        ):
            importlib.import_module(f"openrtc_offline.{module}")

    def close(self) -> None:
        """End all child processes; models that are built later get new ones."""
        for pool in (self.__dict__.pop("recognizers", None), self.__dict__.pop("speakers", None)):
            if pool is not None:
                pool.close()


def _expect(kind: str, model: str, known: tuple[str, ...]) -> None:
    if model and model not in known:
        raise OpenRTCError(
            f"no offline {kind} model {model!r}",
            origin=f"offline:{model}",
            fix=f"write {' or '.join(repr(f'offline:{name}') for name in ('', *known))}",
        )
