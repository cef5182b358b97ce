"""The environment in which a package is built, imported and called: no secret, and no setting of OpenRTC."""

from __future__ import annotations

import os
from pathlib import Path

from openrtc.child_environment import THREADS_OFF, drop_secrets

_LEFT_OUT = ("OPENRTC_", "LIVEKIT_", "SSH_")
"""How variables begin that hold an operator's settings, or lead to somebody who has a key."""


def list_variables(temporary: Path) -> dict[str, str]:
    """Return the environment of such a process.

    Args:
        temporary: Its folder for temporary files.
    """
    kept = {name: text for name, text in drop_secrets().items() if not name.startswith(_LEFT_OUT)}
    if path := kept.get("PYTHONPATH"):  # it is read in another folder
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, path.split(os.pathsep)))
    return {**kept, **THREADS_OFF, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
