"""`Mark`: one thing that is the process's and not a package's, and how it is put back."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that belongs to the process.

    Args:
        name: What it is called in a line.
        read: Returns what it is now.
        restore: Takes what it was and what it is now, and lets it be what it was.
        same: Whether it needs no restoring: takes the same two.
        describe: Says what has changed, where that is more than the name: takes the same two.
        missed: Whether the package will miss what it has set: it is warned of then, and else only told.
    """

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any, Any], object]
    same: Callable[[Any, Any], bool] = operator.eq
    describe: Callable[[Any, Any], str] | None = None
    missed: bool = False
