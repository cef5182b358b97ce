"""What a helper process gets of this one's surroundings: no secret, and no module of the working folder."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

PROCESS_ROLE = "OPENRTC_PROCESS_ROLE"
"""Gives a process of a supervisor its role. Taken out of the environment at once, so that nothing else inherits it."""

THREADS_OFF = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's library would start a thread for each core at import, and a process with more than one cannot be forked."""

_SECRET_NAME = r"(?i)(.*_)?(KEY|SECRETS?|TOKEN|PASSWORD|PASSWD|CREDENTIALS)(_.*)?"
_LOGIN_IN_ADDRESS = r"\w+://[^/@\s]*:[^/@\s]+@"


def drop_secrets(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without the variables that look like a secret, by their name or by a login in an address.

    Args:
        environ: The environment; by default this process's.
    """
    every = os.environ if environ is None else environ
    return {name: text for name, text in every.items() if not looks_secret(name, text)}


def leave_out_working_folder() -> None:
    """Let each Python that `multiprocessing` starts from now on import nothing of the working folder at its start.

    A module there may have the name of one of Python's. Afterwards such a process gets this one's path of imports.
    """
    # It has no option for that, and Python's variable would be handed on to whatever a package starts.
    from multiprocessing import util

    take_flags: Any = getattr(util, "_args_from_interpreter_flags", None)
    if take_flags and "-P" not in take_flags():  # also where this was called before, or this Python was started so
        util._args_from_interpreter_flags = lambda: [*take_flags(), "-P"]  # type: ignore[attr-defined]


def looks_secret(name: str, text: str = "") -> bool:
    """Whether a variable looks like one that holds a secret."""
    return bool(re.fullmatch(_SECRET_NAME, name) or re.match(_LOGIN_IN_ADDRESS, text))
