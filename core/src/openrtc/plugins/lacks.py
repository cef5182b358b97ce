"""What an agent lacks to answer a call, though it is ready: models, keys, LiveKit's Cloud, resources."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import urlsplit

from openrtc.catalog.loaded import LoadedAgent
from openrtc.discovery.entries import Entry
from openrtc.model.agents import AgentSpec
from openrtc.model.lack import Lack
from openrtc.plugins.model_use import SESSION_MODELS, ModelUse, find_model_use, is_hosted
from openrtc.settings.config import Config

CLOUD_FIX = (
    "name a model of a plugin package in its place, such as openai.LLM() of livekit-plugins-openai; or name none, and "
    "run with --offline; or set LIVEKIT_INFERENCE_API_KEY and LIVEKIT_INFERENCE_API_SECRET"
)
_CREDENTIAL = re.compile(r"api[ _-]?(key|secret|token)|credential|access[ _-]?token", re.IGNORECASE)
"""How the libraries of models say that a key is missing; they raise errors of all types for it."""
_CLOUD_HOST = ".livekit.cloud"
_INFERENCE_VARIABLES = ("LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_INFERENCE_URL")
INFERENCE_CREDENTIALS = ("LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_INFERENCE_API_SECRET")


def find_lacks(
    agent: LoadedAgent,
    config: Config,
    *,
    offline: Collection[str] = SESSION_MODELS,
    resources: Collection[str] | None = None,
    without_keys: str = "--offline",
    environ: Mapping[str, str] = os.environ,
) -> tuple[Lack, ...]:
    """Return what an agent lacks, as far as that can be told without building it.

    Args:
        agent: A ready agent.
        config: The settings, with the models of ``[defaults]``.
        offline: The kinds of offline models that there are, which count where the settings want them.
        resources: The keys of the resources that plugins offer; None where that is not known.
        without_keys: How to run without models that need keys.
        environ: Variables, which hold the keys.
    """
    if agent.spec is None or not agent.usable or agent.spec.cast is not None:  # its members are agents themselves
        return ()
    use = find_model_use(agent.spec, agent.entry)
    found = [*_find_missing_models(use, config, offline, without_keys), *_find_keys(use, environ)]
    defaults = config.defaults
    hosted = [*use.hosted, *(m for kind in set(SESSION_MODELS) - use.named if is_hosted(m := getattr(defaults, kind)))]
    if hosted and not is_on_cloud(config.worker.url, environ):
        found.append(Lack("cloud", describe_hosted(hosted), CLOUD_FIX))
    return (*found, *_find_resources(agent.spec, resources))


def list_missing_variables(
    spec: AgentSpec, entry: Entry | None, environ: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the variables without which models cannot be made that an agent names, and that are not set.

    Args:
        spec: How the agent is built.
        entry: Its entry point; without one its source is not read, and nothing is known.
        environ: Variables.
    """
    use = find_model_use(spec, entry)
    named = [variables for _, variables in use.keys] + [(one,) for one in INFERENCE_CREDENTIALS if use.hosted]
    return tuple(one for variables in named if not any(environ.get(v) for v in variables) for one in variables)


def tells_of_missing_key(message: str) -> bool:
    """Whether an error's message says that a key is missing."""
    return bool(_CREDENTIAL.search(message))


def is_on_cloud(url: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether LiveKit's Cloud would serve models: the server is one of its own, or its inference has a key.

    Args:
        url: The LiveKit server's address.
        environ: Variables.
    """
    urls = (url, environ.get("LIVEKIT_URL", ""))
    on_cloud = any((urlsplit(one).hostname or "").endswith(_CLOUD_HOST) for one in urls)
    return on_cloud or any(environ.get(name) for name in _INFERENCE_VARIABLES)


def describe_hosted(models: Iterable[str]) -> str:
    """Return that models need LiveKit's Cloud."""
    return f"LiveKit's Cloud, which alone has {' and '.join(map(repr, dict.fromkeys(models)))}"


def _find_missing_models(use: ModelUse, config: Config, offline: Collection[str], without_keys: str) -> Iterable[Lack]:
    defaults = config.defaults
    there = {kind for kind in SESSION_MODELS if getattr(defaults, kind)} | (set(offline) if defaults.offline else set())
    if missing := [kind for kind in SESSION_MODELS if kind not in use.named | there]:
        what = " and ".join(missing)
        fix = f"name {what} in the agent or under [defaults] in openrtc.toml; without keys: {without_keys}"
        yield Lack("models", what, fix)


def _find_keys(use: ModelUse, environ: Mapping[str, str]) -> Iterable[Lack]:
    for model, variables in use.keys:
        if not any(environ.get(name) for name in variables):
            fix = f"set {variables[0]} in the environment or in .env; without keys: name none, and run with --offline"
            yield Lack("key", f"{' or '.join(variables)}, which {model} needs", fix)


def _find_resources(spec: AgentSpec, offered: Collection[str] | None) -> Iterable[Lack]:
    for key in spec.resources:
        if offered is not None and key not in offered:
            what = f"the resource {key!r}, which no installed plugin brings"
            yield Lack("resource", what, "install a package that does")
