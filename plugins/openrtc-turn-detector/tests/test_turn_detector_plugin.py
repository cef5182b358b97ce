"""`openrtc_turn_detector.plugin`, in fresh processes with a Hugging Face cache that the test lays out."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from e2e.worker_template import worker_template
from openrtc import ResourceUnavailable
from openrtc_turn_detector import plugin
from openrtc_turn_detector.files import find_model_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOAD = """
import sys, warnings
warnings.simplefilter("always")
from openrtc import ResourceUnavailable
from openrtc_turn_detector import plugin
(spec,) = plugin.openrtc_resources()
try:
    value = spec.load()
except ResourceUnavailable as error:
    print("unavailable:", error, "| fix:", error.fix)
    print("imported:", "livekit.plugins.turn_detector" in sys.modules)
else:
    from livekit.agents.inference_runner import _InferenceRunner
    print(value.__name__, sorted(_InferenceRunner.registered_runners))
"""


def put_into_cache(hf_home: Path, *models: str) -> None:
    for model in models:
        files = find_model_files(model)
        repository = hf_home / "hub" / f"models--{files.repository.replace('/', '--')}"
        commit = COMMIT[:-1] + str(len(model) % 10)
        (repository / "refs").mkdir(parents=True, exist_ok=True)
        (repository / "refs" / files.revision).write_text(commit)
        for name in files.names:
            path = repository / "snapshots" / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")


def load(hf_home: Path, **environment: str) -> tuple[str, str]:
    """Load the resource in a process that has only imported livekit-agents; return its output and its errors."""
    dropped = {"HF_HUB_CACHE", plugin.MODEL_VARIABLE, plugin.REMOTE_VARIABLE}
    inherited = {name: value for name, value in os.environ.items() if name not in dropped}
    environ = inherited | {"HF_HOME": str(hf_home)} | environment
    done = worker_template().run(["-c", LOAD], environ=environ, cwd=hf_home)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_the_distribution_announces_the_plugin_module() -> None:
    (entry,) = distribution("openrtc-turn-detector").entry_points
    assert (entry.group, entry.name) == ("openrtc.plugins", "turn-detector")
    assert entry.load() is plugin


@pytest.mark.process
def test_importing_the_plugin_imports_no_livekit() -> None:
    code = (
        "import sys; from openrtc_turn_detector import plugin; plugin.openrtc_resources(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('livekit', 'huggingface_hub', 'transformers')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.process
def test_missing_files_are_one_line_with_the_fix_and_nothing_is_imported(tmp_path: Path) -> None:
    out, _ = load(tmp_path)
    assert out.splitlines() == [
        (
            "unavailable: onnx/model_q8.onnx, languages.json, tokenizer.json, tokenizer_config.json of "
            f"livekit/turn-detector {find_model_files('multilingual').revision} not found in {tmp_path / 'hub'} "
            "| fix: openrtc download-files"
        ),
        "imported: False",
    ]


@pytest.mark.process
def test_with_both_models_here_the_multilingual_one_is_the_default(tmp_path: Path) -> None:
    put_into_cache(tmp_path, "en", "multilingual")
    out, err = load(tmp_path)
    assert out == "MultilingualModel ['lk_end_of_utterance_en', 'lk_end_of_utterance_multilingual']"
    assert "turn_detector` is deprecated" not in err


@pytest.mark.process
def test_the_multilingual_model_also_needs_the_english_one_that_upstream_starts(tmp_path: Path) -> None:
    put_into_cache(tmp_path, "multilingual")
    out, _ = load(tmp_path)
    assert f"livekit/turn-detector {find_model_files('en').revision} not found" in out
    assert "imported: False" in out


@pytest.mark.process
def test_english_alone_registers_one_runner_and_needs_one_model(tmp_path: Path) -> None:
    put_into_cache(tmp_path, "en")
    out, err = load(tmp_path, OPENRTC_TURN_DETECTOR="english")
    assert out == "EnglishModel ['lk_end_of_utterance_en']"
    assert "turn_detector` is deprecated" not in err


@pytest.mark.process
def test_a_multilingual_model_served_from_elsewhere_needs_no_multilingual_files(tmp_path: Path) -> None:
    put_into_cache(tmp_path, "en")
    out, _ = load(tmp_path, LIVEKIT_REMOTE_EOT_URL="http://127.0.0.1:1")
    assert out == "MultilingualModel ['lk_end_of_utterance_en']"


def test_choosing_english_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(plugin.REMOTE_VARIABLE, raising=False)
    with plugin._set_variable(plugin.REMOTE_VARIABLE, "not-used"):
        assert os.environ[plugin.REMOTE_VARIABLE] == "not-used"
    assert plugin.REMOTE_VARIABLE not in os.environ


def test_an_unknown_choice_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plugin.MODEL_VARIABLE, "klingon")
    with pytest.raises(ResourceUnavailable, match="OPENRTC_TURN_DETECTOR is 'klingon'") as caught:
        plugin.read_model_choice()
    assert caught.value.fix == "set OPENRTC_TURN_DETECTOR to english or multilingual"
