"""What a helper process gets of this one's surroundings: no secret, and no module of the working folder."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping

THREADS_OFF = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's library would start a thread for each core at import, and a process with more than one cannot be forked."""

_SECRET_NAME = re.compile(r"(.*_)?(KEY|SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS)(_.*)?", re.IGNORECASE)
_SAFE_PATH = "PYTHONSAFEPATH"
_LOGIN_IN_ADDRESS = re.compile(r"\w+://[^/@\s]*:[^/@\s]+@")


def drop_secrets(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without the variables that look like a secret, by their name or by a login in an address.

    Args:
        environ: The environment; by default this process's.
    """
    every = os.environ if environ is None else environ
    return {name: text for name, text in every.items() if not looks_secret(name, text)}


@contextlib.contextmanager
def without_working_folder() -> Iterator[None]:
    """Let the Python processes that are started in a ``with`` block import nothing from the working folder.

    A module there may have the name of one of Python's. `multiprocessing` has no option for it, only Python's variable;
    what a process starts in turn should not have that: `forget_working_folder` takes it away again.
    """
    before = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    try:
        yield
    finally:
        os.environ.pop(_SAFE_PATH)
        if before is not None:
            os.environ[_SAFE_PATH] = before


def forget_working_folder() -> None:
    """Let a process that was started `without_working_folder` start others as usual."""
    os.environ.pop(_SAFE_PATH, None)


def looks_secret(name: str, text: str = "") -> bool:
    """Whether a variable looks like one that holds a secret."""
    return bool(_SECRET_NAME.fullmatch(name) or _LOGIN_IN_ADDRESS.match(text))
