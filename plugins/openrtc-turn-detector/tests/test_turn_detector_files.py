"""`openrtc_turn_detector.files`, with a Hugging Face cache that the test lays out on the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from e2e.worker_template import worker_template
from openrtc_turn_detector.files import ModelFiles, find_cache_folder, find_model_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def put_into_cache(cache: Path, files: ModelFiles) -> Path:
    """Write small files where the hub's client would have put the model's; return their folder."""
    repository = cache / f"models--{files.repository.replace('/', '--')}"
    reference = repository / "refs" / files.revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    for name in files.names:
        path = snapshot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return snapshot


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return tmp_path


@pytest.mark.process
def test_the_names_are_those_of_the_installed_turn_detector() -> None:
    # In another process: importing the turn detector registers inference runners for every worker in the process.
    code = (
        "from livekit.plugins.turn_detector.models import *; import json; "
        "print(json.dumps([HG_MODEL, MODEL_REVISIONS, 'onnx/' + ONNX_FILENAME]))"
    )
    done = worker_template().run(["-c", code])
    assert done.returncode == 0, done.stderr
    repository, revisions, weights = json.loads(done.stdout)
    assert revisions.keys() == {"en", "multilingual"}
    for model, revision in revisions.items():
        files = find_model_files(model)
        assert (files.repository, files.revision) == (repository, revision)
        assert files.names == (weights, "languages.json", "tokenizer.json", "tokenizer_config.json")


@pytest.mark.process
def test_finding_the_names_does_not_import_the_turn_detector() -> None:
    code = (
        "import sys; from openrtc_turn_detector.files import find_model_files; find_model_files('en').find_missing(); "
        "print([m for m in sys.modules if m.startswith(('livekit.agents', 'livekit.plugins.turn', 'transformers'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_everything_is_missing_from_an_empty_cache(cache: Path) -> None:
    files = find_model_files("en")
    assert files.find_missing() == files.names
    assert find_cache_folder() == str(cache)


def test_nothing_is_missing_when_every_file_is_in_the_cache(cache: Path) -> None:
    files = find_model_files("en")
    put_into_cache(cache, files)
    assert files.find_missing() == ()


def test_one_removed_file_is_named(cache: Path) -> None:
    files = find_model_files("multilingual")
    (put_into_cache(cache, files) / "languages.json").unlink()
    assert files.find_missing() == ("languages.json",)


def test_a_link_to_a_removed_blob_is_missing(cache: Path) -> None:
    files = find_model_files("en")
    path = put_into_cache(cache, files) / files.names[0]
    path.unlink()
    path.symlink_to(cache / "no-such-blob")
    assert files.find_missing() == (files.names[0],)


def test_another_revision_does_not_count(cache: Path) -> None:
    english = find_model_files("en")
    put_into_cache(cache, english)
    assert find_model_files("multilingual").find_missing() == english.names
