"""`Archive`: the folder of the recordings, and for how long they stay in it."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from openrtc import ResourceUnavailable

FOLDER, DAYS, SAYS = "OPENRTC_RECORDER_FOLDER", "OPENRTC_RECORDER_DAYS", "OPENRTC_RECORDER_SAYS"
DEFAULT_DAYS = 30.0
DEFAULT_SENTENCE = "This call is recorded."
DAY_SECONDS = 86_400.0
_RECORDING = re.compile(r"AJ_\w+(\.[^/]+)?\.ogg")
"""What a recording is called: LiveKit's id of the job, perhaps who of a cast it is, or a number."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The folder of the recordings.

    Args:
        folder: Where they are.
        days: After so many days they are removed.
        sentence: What the agent says before it records.
    """

    folder: Path
    days: float
    sentence: str

    def reserve(self, name: str) -> Path:
        """Return a new, empty file that only this user may read; one of the same name gets a number.

        Raises:
            OSError: It cannot be written.
        """
        number = 1
        while True:
            path = self.folder / (f"{name}.ogg" if number == 1 else f"{name}.{number}.ogg")
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                return path
            number += 1

    def remove_old(self) -> None:
        """Remove the recordings whose time is over, and nothing else that is in the folder."""
        oldest = time.time() - self.days * DAY_SECONDS
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):  # another worker of this machine may have removed it
                if _RECORDING.fullmatch(path.name) and path.stat().st_mtime < oldest:
                    path.unlink()


def open_archive() -> Archive:
    """Return the folder that the environment names, and remove what is too old there.

    Raises:
        ResourceUnavailable: It cannot be used, or another variable says nothing that can be done.
    """
    folder = Path(os.environ[FOLDER].strip()).expanduser().absolute()
    archive = Archive(folder, _read_days(), os.environ.get(SAYS, "").strip() or DEFAULT_SENTENCE)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            archive.remove_old()
    except OSError as error:
        problem = f"{FOLDER} is {str(folder)!r}, which cannot be written: {error.strerror}"
        raise ResourceUnavailable(problem, fix="name a folder that this user may write") from error
    return archive


def _read_days() -> float:
    text = os.environ.get(DAYS, "").strip()
    try:
        days = float(text or DEFAULT_DAYS)
    except ValueError:
        days = 0.0
    if not 0 < days < 1e6:  # neither nan nor infinity
        raise ResourceUnavailable(
            f"{DAYS} is {text!r}, which is no number of days above 0", fix=f"set it to {DEFAULT_DAYS:g}"
        )
    return days
