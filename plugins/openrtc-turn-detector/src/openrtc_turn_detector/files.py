"""Which model files a turn-detector model needs, and which of them are missing here. No network, no livekit import."""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

UPSTREAM_PACKAGE = "livekit.plugins.turn_detector"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of one model on the Hugging Face hub.

    Args:
        repository: Name of the repository.
        revision: Tag of the model.
        names: Paths of the files inside the repository.
    """

    repository: str
    revision: str
    names: tuple[str, ...]

    def find_missing(self) -> tuple[str, ...]:
        """Return the names that are not in the local cache."""
        from huggingface_hub import try_to_load_from_cache

        def is_here(name: str) -> bool:
            found = try_to_load_from_cache(self.repository, name, revision=self.revision)
            return isinstance(found, str) and Path(found).is_file()

        return tuple(name for name in self.names if not is_here(name))


def find_model_files(model: str) -> ModelFiles:
    """Return the files of ``en`` or ``multilingual``, as the installed livekit-plugins-turn-detector names them."""
    names = _read_upstream_names()
    files = (f"onnx/{names['ONNX_FILENAME']}", "languages.json", *TOKENIZER_FILES)
    return ModelFiles(names["HG_MODEL"], names["MODEL_REVISIONS"][model], files)


def find_cache_folder() -> str:
    """Return the folder in which the files are looked for."""
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


@cache
def _read_upstream_names() -> dict[str, Any]:
    # Run the one file that holds the names: importing its package would register two inference runners.
    spec = find_spec(UPSTREAM_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {UPSTREAM_PACKAGE!r}", name=UPSTREAM_PACKAGE)
    return runpy.run_path(str(Path(spec.origin).with_name("models.py")))
