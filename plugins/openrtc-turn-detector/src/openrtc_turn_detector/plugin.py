"""The plugin: brings the resource ``turn_detection``. Imports livekit only when the model's files are all here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openrtc import CheckResult, ResourceSpec, ResourceUnavailable, hookimpl
from openrtc_turn_detector.files import find_cache_folder, find_model_files

if TYPE_CHECKING:
    from livekit.plugins.turn_detector.base import EOUModelBase

MODEL_VARIABLE = "OPENRTC_TURN_DETECTOR"
REMOTE_VARIABLE = "LIVEKIT_REMOTE_EOT_URL"
# Importing upstream's package registers a runner for the English model in any case, and one for the multilingual model
# unless that is served from elsewhere; the inference process loads every registered runner.
MODELS_LOADED = {"english": ("en",), "multilingual": ("multilingual", "en")}


@hookimpl
def openrtc_resources() -> list[ResourceSpec]:
    """Bring ``turn_detection``, the default turn detection of every session."""
    return [ResourceSpec(key="turn_detection", load=load_turn_detection)]


@hookimpl
def openrtc_checks() -> list[CheckResult]:
    """Tell `openrtc doctor` whether the model that is chosen has its files."""
    try:
        choice = read_model_choice()
        require_model_files(choice)
    except ResourceUnavailable as problem:
        return [CheckResult(name="model files", verdict="warning", message=str(problem), fix=problem.fix)]
    return [CheckResult(name="model files", verdict="ok", message=f"those of {choice} are here")]


def load_turn_detection() -> Callable[[], EOUModelBase]:
    """Return the model's class; the worker calls it in every session.

    Raises:
        ResourceUnavailable: A model file is not in the local Hugging Face cache, or the environment names no model.
    """
    choice = read_model_choice()
    require_model_files(choice)
    return _import_english() if choice == "english" else _import_multilingual()


def read_model_choice() -> str:
    """Return ``english`` or ``multilingual`` (the default), as ``OPENRTC_TURN_DETECTOR`` says."""
    choice = os.environ.get(MODEL_VARIABLE, "").strip().lower() or "multilingual"
    if choice not in MODELS_LOADED:
        raise ResourceUnavailable(
            f"{MODEL_VARIABLE} is {choice!r}", fix=f"set {MODEL_VARIABLE} to english or multilingual"
        )
    return choice


def require_model_files(choice: str) -> None:
    """Raise `ResourceUnavailable` for the first model that cannot start because files are missing."""
    for model in MODELS_LOADED[choice]:
        if model == "multilingual" and os.environ.get(REMOTE_VARIABLE):
            continue
        files = find_model_files(model)
        if missing := files.find_missing():
            raise ResourceUnavailable(
                f"{', '.join(missing)} of {files.repository} {files.revision} not found in {find_cache_folder()}",
                fix="openrtc download-files",
            )


def _import_english() -> Callable[[], EOUModelBase]:
    # Upstream leaves the multilingual runner, and its memory, out where that model is served from elsewhere.
    with _ignore_deprecation(), _set_variable(REMOTE_VARIABLE, os.environ.get(REMOTE_VARIABLE) or "not-used"):
        from livekit.plugins.turn_detector.english import EnglishModel
    return EnglishModel


def _import_multilingual() -> Callable[[], EOUModelBase]:
    with _ignore_deprecation():
        from livekit.plugins.turn_detector.multilingual import MultilingualModel
    return MultilingualModel


@contextmanager
def _ignore_deprecation() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*turn_detector.* is deprecated", category=DeprecationWarning)
        yield


@contextmanager
def _set_variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
