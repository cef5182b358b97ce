"""Builds a wheel with a project's own build backend (PEP 517), in a process of its own: ``python build_child.py …``.

Nothing of OpenRTC is imported: the backend and the project's own build code see a plain Python.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any


def build(backend: str, backend_path: str, folder: str, needs: str) -> None:
    """Build a wheel of the project in the current folder.

    Args:
        backend: The backend: ``module`` or ``module:object``.
        backend_path: Folders that it is in, separated as a path; empty where it is installed.
        folder: Where the wheel goes.
        needs: The file that gets what else it needs, a requirement a line.
    """
    sys.path[:0] = [os.path.abspath(one) for one in backend_path.split(os.pathsep) if one]
    module, _, path = backend.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split(".") if path else ():
        found = getattr(found, part)
    ask = getattr(found, "get_requires_for_build_wheel", None)
    with open(needs, "w", encoding="utf-8") as file:
        file.write("\n".join(ask() if ask else ()))
    found.build_wheel(folder)


if __name__ == "__main__":
    build(*sys.argv[1:])
