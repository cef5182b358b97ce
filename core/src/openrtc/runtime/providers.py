"""`Providers`: which plugin builds the models of which scheme."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, cast

from packaging.utils import canonicalize_name

from openrtc.errors import OpenRTCError, one_line
from openrtc.install_commands import install_command
from openrtc.model.provider import Provider, ProviderContext
from openrtc.plugins.guard.clock import PackageCode, clocked, find_module
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.implementation import HookResult

logger = logging.getLogger("openrtc.providers")

ModelKind = Literal["stt", "llm", "tts"]
MODEL_KINDS: tuple[ModelKind, ...] = ("stt", "llm", "tts")
OFFLINE_SCHEME = "offline"
OFFLINE = f"{OFFLINE_SCHEME}:"
OFFLINE_DISTRIBUTION = "openrtc-offline[espeak]"

_SCHEME = re.compile(r"([a-z][a-z0-9_-]*):(?!/)(.*)", re.DOTALL)
"""``scheme:model``, but no address such as ``http://…``, and none of livekit-agents' own ``provider/model:voice``."""


class Providers:
    """Builds models from what agents and settings name.

    Args:
        hooks: The plugins; ``openrtc_providers`` of each is called at once.
        prefer: For a scheme that several distributions bring: which distribution wins.
    """

    def __init__(self, hooks: Hooks, prefer: Mapping[str, str] | None = None) -> None:
        self._prefer = prefer or {}
        self._providers: dict[str, tuple[Provider, str]] = {}
        for result in hooks.collect_now("openrtc_providers"):
            self._add(result, self._prefer)

    def renew(self, hooks: Hooks, distributions: Collection[str]) -> None:
        """Take the providers of some distributions anew; the others stay as they are.

        Args:
            hooks: The plugins.
            distributions: Their names.
        """
        now = {one.distribution for one in hooks.implementations("openrtc_providers")}
        if now.union(one[1] for one in self._providers.values()).isdisjoint(distributions):
            return  # what asks all would ask them on the loop of the calls
        self._providers = {key: one for key, one in self._providers.items() if one[1] not in distributions}
        for result in hooks.collect_now("openrtc_providers"):
            if result.implementation.distribution in distributions:
                self._add(result, self._prefer)

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that can be named, sorted."""
        return tuple(sorted(self._providers))

    def why_unavailable(self, scheme: str, kind: ModelKind | None = None) -> str | None:
        """Return None when the provider of ``scheme`` can be used, for models of ``kind`` if given, else why not."""
        if scheme not in self._providers:
            return f"no installed plugin brings {scheme!r} models"
        provider, distribution = self._providers[scheme]
        try:
            problem = provider.available()
            # Optional: most providers lack nothing, or all.
            if problem is None and kind is not None and (missing := getattr(provider, "missing", None)):
                return cast(str | None, missing(kind))
            return problem
        except Exception as error:  # a plugin's: whatever it raises, its models cannot be used
            return one_line(f"{distribution}: {type(error).__name__}: {error}")

    def prewarm(self, models: Iterable[Any]) -> None:
        """Let the providers of these models prepare; what one raises is logged.

        Args:
            models: Model strings; anything else is passed over.
        """
        for scheme in dict.fromkeys(self._split(model)[0] for model in models if isinstance(model, str)):
            if scheme not in self._providers:
                continue
            provider, distribution = self._providers[scheme]
            try:
                # Optional: the other providers have nothing to prepare.
                if prewarm := getattr(provider, "prewarm", None):
                    what = f"the preparing of {scheme!r} models"
                    with clocked(PackageCode(distribution, distribution, find_module(prewarm), what)):
                        prewarm()
            except Exception as error:  # the first call may still succeed, and will say why if not
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
        scheme, name = self._split(model)
        if scheme not in self._providers:
            if model.startswith(OFFLINE):  # livekit-agents would take it for a model of its own
                raise OpenRTCError(f"no installed plugin brings {model!r}", fix=install_command(OFFLINE_DISTRIBUTION))
            return model
        provider, distribution = self._providers[scheme]
        problem = self.why_unavailable(scheme, kind)
        if problem is not None:
            raise OpenRTCError(f"{kind} {model!r} cannot be used here: {problem}", origin=distribution)
        return getattr(provider, kind)(name, context)

    @staticmethod
    def _split(model: str) -> tuple[str, str]:
        match = _SCHEME.fullmatch(model)
        return (match[1], match[2]) if match else ("", model)

    def _add(self, result: HookResult, prefer: Mapping[str, str]) -> None:
        source = result.implementation
        if not isinstance(result.value, Mapping):
            logger.error("%s: %s returned %s, no mapping", source.plugin, source.hook, type(result.value).__name__)
            return
        for scheme, provider in result.value.items():
            self._add_one(scheme, provider, source.distribution, prefer.get(scheme))

    def _add_one(self, scheme: str, provider: Provider, source: str, preferred: str | None) -> None:
        present = self._providers.get(scheme)
        if present is None or (preferred and canonicalize_name(source) == preferred):
            self._providers[scheme] = (provider, source)
        elif not (preferred and canonicalize_name(present[1]) == preferred):
            logger.error(
                "%r models are brought by %s and %s; %s is used (choose in openrtc.toml: [plugins.prefer] %r = ...)",
                scheme, present[1], source, present[1], scheme,
            )  # fmt: skip


def describe_model(model: Any) -> str:
    """Return a model string as it is and a label for anything else; empty for none."""
    if model is None:
        return ""
    return model if isinstance(model, str) else f"instance of {type(model).__name__}"
