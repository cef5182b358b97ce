"""What few calls need is imported when it is first used, and is then as if it had been there from the start."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from e2e.worker_template import worker_template

pytestmark = pytest.mark.process

BEFORE = """
import json, sys, logging
logging.basicConfig(format="%(message)s", stream=sys.stderr)
from openrtc.speedups.imports import INFERENCE_LLM, UPLOADS, _DEFERRED, defer_imports, import_now
"""
BEGIN = BEFORE + "defer_imports()\n"
LATE = """
def late():
    found = {}
    for importer, module in list(sys.modules.items()):
        names = [name for name, value in vars(module).items() if type(value).__name__ in ("_LazyModule", "_LazyName")]
        if names:
            found[importer] = sorted(names)
    return found
def loaded():
    return [name for name in sys.modules if any((name + ".").startswith(package + ".")
        for packages in _DEFERRED.values() for package in packages)]
"""
AGENTS = "import livekit.agents\nimport livekit.agents.inference.llm as llm\n"
IMPORT = BEGIN + LATE + AGENTS
LLM, UPLOADS = "livekit.agents.inference.llm", "livekit.agents.telemetry.traces"
DECODER, RECORDER = "livekit.agents.utils.codecs.decoder", "livekit.agents.voice.recorder_io.recorder_io"
USES = {LLM: "openai.AsyncClient", UPLOADS: "Compression.Gzip", DECODER: "av.open", RECORDER: "av.open"}

NAMES = f"""
def names_of(module):
    return {{name: str(value).partition(" at 0x")[0] for name, value in vars(module).items()}}
def names():
    return {{importer: names_of(sys.modules[importer]) for importer in {list(USES)}}}
"""
ENV = {**os.environ, "PYTHONHASHSEED": "0"}
"""Sets are shown in the same order."""


def run(code: str) -> tuple[Any, str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=ENV)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def go_on(code: str) -> tuple[Any, str]:
    """Run code where livekit-agents has been imported, as by a worker."""
    done = worker_template().run(["-c", BEFORE + LATE + AGENTS + code], environ=ENV)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@functools.cache
def import_and_use() -> tuple[Any, str]:
    """Import livekit-agents, then use what is left for later: what is there after the one, and after the other."""
    using = "".join(f"sys.modules[{importer!r}].{use}\n" for importer, use in USES.items())
    code = "before = late(), loaded(), len(sys.meta_path)\n" + using + NAMES
    return run(IMPORT + code + "print(json.dumps([before, names()]))")


def test_importing_livekit_agents_leaves_it_for_later() -> None:
    ((names, modules, finders), _), logged = import_and_use()
    assert names.keys() == USES.keys(), "nobody else has come by a stand-in"
    assert "openai" in names[LLM] and "requests" in names[UPLOADS]
    assert modules == [] and logged == ""
    assert finders == run("import json, sys\nprint(json.dumps(len(sys.meta_path)))")[0]


def test_after_the_first_use_every_name_is_what_it_is_without_us() -> None:
    plain, _ = run(f"import json, sys\nimport livekit.agents\n{NAMES}print(json.dumps(names()))")
    (_, late), logged = import_and_use()
    assert late == plain and min(map(len, plain.values())) > 10
    assert logged == ""


def test_it_can_be_imported_before_anybody_uses_it() -> None:
    code = "import_now(INFERENCE_LLM); import_now(UPLOADS); print(json.dumps([late(), loaded()]))"
    (names, modules), logged = go_on(code)
    assert names.keys() == {DECODER, RECORDER} and {"openai", "requests"} <= set(modules) and logged == ""


def test_others_import_the_real_one() -> None:
    code = "import openai, requests, av\nfrom openai.types.chat import ChatCompletionChunk\n"
    code += "import opentelemetry.exporter.otlp.proto.http.trace_exporter as exporter\n"
    code += "print(json.dumps([openai.AsyncClient.__name__, str(llm.ChatCompletionChunk.model_fields.keys()), "
    code += "requests.Session.__name__, av.open.__name__, exporter.OTLPSpanExporter.__name__]))"
    (client, fields, *others), _ = go_on(code)
    assert client == "AsyncOpenAI" and "choices" in fields
    assert others == ["Session", "open", "OTLPSpanExporter"]


@pytest.mark.parametrize("call", ["a call in a room", "the console's", "none"])
def test_a_language_model_is_made_with_it_and_calls_are_told_to_have_waited(call: str) -> None:
    code = f"""
import asyncio
from types import SimpleNamespace
context = SimpleNamespace(is_fake_job=lambda: {call == "the console's"})
livekit.agents.get_job_context = lambda required: {"None" if call == "none" else "context"}
async def main():
    llm.LLM("openai/gpt-4.1", api_key="k", api_secret="s" * 40)
asyncio.run(main())
"""
    (names, modules), logged = go_on(code + "print(json.dumps([late(), loaded()]))")
    assert LLM not in names and "openai" in modules
    if call != "a call in a room":
        assert logged == "", "nobody has waited"
        return
    assert logged.count("\n") == 1 and "inference.llm" in logged and "openai" in logged and "imports" in logged


def test_a_class_derived_from_a_stand_in_is_derived_from_the_real_class_when_it_is_used() -> None:
    code = """
from livekit.agents.telemetry import traces
first, second = (traces._AuthRefreshingSession(lambda: {"Authorization": "me"}) for _ in range(2))
import requests
print(json.dumps([type(first).__bases__ == (requests.Session,), isinstance(second, requests.Session),
    list(first.adapters), first.headers == second.headers, first._make_ok_response().content.decode()]))
"""
    found, _ = go_on(code)
    assert found == [True, True, ["https://", "http://"], True, ""]


def test_compressed_sound_is_decoded_in_a_thread_and_no_call_waits() -> None:
    code = """
import asyncio, io, wave
from livekit.agents.utils.codecs import AudioStreamDecoder
file = io.BytesIO()
with wave.open(file, "wb") as sound:
    sound.setparams((1, 2, 24000, 0, "NONE", ""))
    sound.writeframes(bytes(48000))
async def main():
    import av
    plain = io.BytesIO()
    with av.open(plain, "w", format="ogg") as made, av.open(io.BytesIO(file.getvalue())) as read:
        stream = made.add_stream("libopus", rate=48000)
        for frame in read.decode(audio=0):
            for packet in stream.encode(frame):
                made.mux(packet)
        for packet in stream.encode(None):
            made.mux(packet)
    decoder = AudioStreamDecoder(sample_rate=24000, num_channels=1, format="audio/ogg")
    before = late()
    decoder.push(plain.getvalue())
    decoder.end_input()
    heard = sum([frame.duration async for frame in decoder])
    await decoder.aclose()
    return before, heard, late()
print(json.dumps(asyncio.run(main())))
"""
    (before, heard, after), logged = go_on(code)
    assert DECODER in before and DECODER not in after
    assert 0.9 < heard < 1.1 and logged == ""


def test_the_module_looks_like_any_other() -> None:
    code = "import inspect; print(json.dumps([llm.__loader__ is llm.__spec__.loader, len(inspect.getsource(llm.LLM))]))"
    (same, length), _ = go_on(code)
    assert same and length > 100


def test_where_it_is_there_already_nothing_is_changed() -> None:
    (names, modules), _ = run("import openai, av\n" + IMPORT + "print(json.dumps([late(), loaded()]))")
    assert list(names) == [UPLOADS]
    assert {name.split(".")[0] for name in modules} >= {"openai", "av"}


def test_a_stand_in_does_whatever_a_class_does() -> None:
    code = """
chunk = llm.ChatCompletionChunk
class Own(chunk): pass
real = llm.ChatCompletionChunk
print(json.dumps([type(chunk).__name__, chunk == real, hash(chunk) == hash(real), issubclass(Own, real),
    isinstance(Own.model_construct(), chunk), issubclass(real, chunk), str(chunk | None) == str(real | None),
    str(None | chunk) == str(None | real), type(chunk.model_construct()) is real, chunk.__mro__ == real.__mro__,
    str(list[chunk]).startswith("list")]))
"""
    found, _ = go_on(code)
    assert found == ["_LazyName", *[True] * 10]


def test_a_module_that_cannot_do_with_stand_ins_is_imported_as_ever(tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(
        "import colorsys\nassert type(colorsys.rgb_to_hsv).__name__ == 'function', 'no function'\n"
    )
    code = f"""
sys.path.insert(0, {str(tmp_path)!r})
_DEFERRED.clear()
_DEFERRED["needy"] = ("colorsys",)
defer_imports()
import needy
print(json.dumps([type(needy.colorsys).__name__, needy.colorsys is sys.modules["colorsys"], late()]))
"""
    found, logged = run(BEFORE + LATE + code)
    assert found == ["module", True, {}]
    assert logged == "speedup 'imports' is off for needy of this livekit-agents: AssertionError: no function\n"
