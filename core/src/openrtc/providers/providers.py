"""`Providers`: which plugin builds the models of which scheme."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from packaging.utils import canonicalize_name

from openrtc.errors import OpenRTCError, one_line
from openrtc.hooks.hooks import Hooks, Outcome
from openrtc.providers.provider import Provider, ProviderContext

logger = logging.getLogger("openrtc.providers")

ModelKind = Literal["stt", "llm", "tts"]
MODEL_KINDS: tuple[ModelKind, ...] = ("stt", "llm", "tts")
OFFLINE = "offline:"

_SCHEME = re.compile(r"([a-z][a-z0-9_-]*):(?!/)(.*)", re.DOTALL)


class Providers:
    """Builds models from what agents and settings name.

    Args:
        hooks: The plugins; ``openrtc_providers`` of each is called at once.
        prefer: For a scheme that several distributions bring: which distribution wins.
    """

    def __init__(self, hooks: Hooks, prefer: Mapping[str, str] | None = None) -> None:
        self._providers: dict[str, tuple[Provider, str]] = {}
        for outcome in hooks.collect_now("openrtc_providers"):
            self._add(outcome, prefer or {})

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that can be named, sorted."""
        return tuple(sorted(self._providers))

    def why_unavailable(self, scheme: str) -> str | None:
        """Return None when the provider of ``scheme`` can be used, else why not."""
        if scheme not in self._providers:
            return f"no installed plugin brings {scheme!r} models"
        provider, distribution = self._providers[scheme]
        try:
            return provider.available()
        except Exception as error:
            return one_line(f"{distribution}: {type(error).__name__}: {error}")

    def prewarm(self, models: Iterable[Any]) -> None:
        """Let the providers of these models prepare; what one raises is logged.

        Args:
            models: Model strings; anything else is passed over.
        """
        matches = [_SCHEME.fullmatch(model) for model in models if isinstance(model, str)]
        for scheme in dict.fromkeys(match[1] for match in matches if match and match[1] in self._providers):
            provider, distribution = self._providers[scheme]
            try:
                getattr(provider, "prewarm", _nothing)()
            except Exception as error:
                logger.error("%s: prewarming %r models: %s", distribution, scheme, one_line(f"{error!r}"))

    def build(self, kind: ModelKind, model: Any, context: ProviderContext) -> Any:
        """Return what ``AgentSession`` takes for ``model``.

        Args:
            kind: ``stt``, ``llm`` or ``tts``.
            model: A model string, a callable without arguments, or an instance. A string whose scheme no plugin
                brings is returned as it is, for livekit-agents to resolve.
            context: Whom the model is built for.

        Raises:
            OpenRTCError: The provider cannot be used here, or failed.
        """
        if not isinstance(model, str):
            return model() if callable(model) else model
        match = _SCHEME.fullmatch(model)
        if match is None or match[1] not in self._providers:
            self._refuse_missing_offline(model)
            return model
        provider, distribution = self._providers[match[1]]
        problem = self.why_unavailable(match[1])
        if problem is not None:
            raise OpenRTCError(f"{kind} {model!r} cannot be used here: {problem}", origin=distribution)
        return getattr(provider, kind)(match[2], context)

    def _refuse_missing_offline(self, model: str) -> None:
        if model.startswith(OFFLINE):
            raise OpenRTCError(f"no installed plugin brings {model!r}", fix='pip install "openrtc-offline[espeak]"')

    def _add(self, outcome: Outcome, prefer: Mapping[str, str]) -> None:
        made = outcome.implementation
        if not isinstance(outcome.value, Mapping):
            logger.error("%s: %s returned %s, no mapping", made.plugin, made.hook, type(outcome.value).__name__)
            return
        for scheme, provider in outcome.value.items():
            self._add_one(scheme, provider, made.distribution, prefer.get(scheme))

    def _add_one(self, scheme: str, provider: Provider, source: str, preferred: str | None) -> None:
        present = self._providers.get(scheme)
        if present is None or (preferred and canonicalize_name(source) == preferred):
            self._providers[scheme] = (provider, source)
        elif not (preferred and canonicalize_name(present[1]) == preferred):
            logger.error(
                "%r models are brought by %s and %s; %s is used (choose in openrtc.toml: [plugins.prefer] %r = ...)",
                scheme, present[1], source, present[1], scheme,
            )  # fmt: skip


def _nothing() -> None:
    """Stands for the prewarm of a provider that has none."""


def describe(model: Any) -> str:
    """Return a model string as it is and a label for anything else; empty for none."""
    if model is None:
        return ""
    return model if isinstance(model, str) else f"instance of {type(model).__name__}"
