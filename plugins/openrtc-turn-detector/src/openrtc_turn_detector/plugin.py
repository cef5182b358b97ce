"""The plugin: brings the resource ``turn_detection``. Imports livekit only when the model's files are all here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openrtc import ResourceSpec, ResourceUnavailable, hookimpl
from openrtc_turn_detector.files import cache_folder, model_files

if TYPE_CHECKING:
    from livekit.plugins.turn_detector.base import EOUModelBase

CHOICE = "OPENRTC_TURN_DETECTOR"
REMOTE = "LIVEKIT_REMOTE_EOT_URL"
# Importing upstream's package registers a runner for the English model in any case, and one for the multilingual model
# unless that is served from elsewhere; the inference process loads every registered runner.
STARTED_WITH = {"english": ("en",), "multilingual": ("multilingual", "en")}


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Bring ``turn_detection``, the default turn detection of every session."""
    return [ResourceSpec(key="turn_detection", load=load_turn_detection)]


def load_turn_detection() -> Callable[[], EOUModelBase]:
    """Return the model's class; the worker calls it in every session.

    Raises:
        ResourceUnavailable: A model file is not in the local Hugging Face cache, or the environment names no model.
    """
    choice = chosen_model()
    require_files(choice)
    return _english() if choice == "english" else _multilingual()


def chosen_model() -> str:
    """Return ``english`` or ``multilingual`` (the default), as ``OPENRTC_TURN_DETECTOR`` says."""
    choice = os.environ.get(CHOICE, "").strip().lower() or "multilingual"
    if choice not in STARTED_WITH:
        raise ResourceUnavailable(f"{CHOICE} is {choice!r}", fix=f"set {CHOICE} to english or multilingual")
    return choice


def require_files(choice: str) -> None:
    """Raise `ResourceUnavailable` for the first model that cannot start for want of files."""
    for model in STARTED_WITH[choice]:
        if model == "multilingual" and os.environ.get(REMOTE):
            continue
        files = model_files(model)
        if missing := files.missing():
            raise ResourceUnavailable(
                f"{', '.join(missing)} of {files.repository} {files.revision} not found in {cache_folder()}",
                fix="openrtc download-files",
            )


def _english() -> Callable[[], EOUModelBase]:
    # Upstream leaves the multilingual runner, and its memory, out where that model is served from elsewhere.
    with _quiet_import(), _environment(REMOTE, os.environ.get(REMOTE) or "not-used"):
        from livekit.plugins.turn_detector.english import EnglishModel
    return EnglishModel


def _multilingual() -> Callable[[], EOUModelBase]:
    with _quiet_import():
        from livekit.plugins.turn_detector.multilingual import MultilingualModel
    return MultilingualModel


@contextmanager
def _quiet_import() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*turn_detector.* is deprecated", category=DeprecationWarning)
        yield


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
