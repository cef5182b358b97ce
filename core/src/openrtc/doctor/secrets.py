"""Keeps secrets out of what is printed, whoever has written it: a setting's error, a server, a plugin."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from openrtc.child_environment import looks_secret
from openrtc.dispatch.connection import strip_credentials
from openrtc.model.check_result import CheckResult
from openrtc.server.settings import PUBLIC_KEYS
from openrtc.settings.config import Config
from openrtc.settings.env_files import EnvFiles

HIDDEN = "…"
SHORTEST = 6
"""Characters of a secret: a shorter one would be found within words, and guards nothing."""
_LOGIN = re.compile(r"(\w+://)[^/@\s]*@")


def list_secrets(config: Config, environ: Mapping[str, str]) -> frozenset[str]:
    """Return every text that must not be printed.

    Args:
        config: The settings.
        environ: The environment.
    """
    variables = {**environ, **config.env_files.variables}
    named = {text for name, text in variables.items() if looks_secret(name)}
    public = {one for pair in PUBLIC_KEYS.values() for one in pair}
    every = {*named, config.worker.api_key, config.worker.api_secret} - public
    return frozenset(text for text in every if len(text) >= SHORTEST)


def blank_secrets(results: Iterable[CheckResult], secrets: Collection[str]) -> list[CheckResult]:
    """Return results without secrets, and without logins in addresses.

    Args:
        results: The results.
        secrets: What must not stand in them.
    """

    def hide(text: str) -> str:
        for one in longest_first:
            text = text.replace(one, HIDDEN)
        return _LOGIN.sub(r"\1", text)

    longest_first = sorted(secrets, key=len, reverse=True)
    return [
        replace(one, **{key: hide(getattr(one, key)) for key in ("name", "message", "fix", "location", "distribution")})
        for one in results
    ]


def leave_out_secrets(config: Config) -> Config:
    """Return the settings as plugins get them."""
    worker = replace(config.worker, api_key="", api_secret="", url=strip_credentials(config.worker.url))
    return replace(config, worker=worker, env_files=EnvFiles())
