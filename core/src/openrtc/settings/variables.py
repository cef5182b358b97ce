"""The environment variables that are read and are no setting: for `docs/settings.md`."""

from __future__ import annotations

VARIABLES = {
    "OPENRTC_CONFIG": "the settings file, in place of `openrtc.toml` in the current folder; `--config` outweighs it",
    "OPENRTC_LIVEKIT_SERVER": "the `livekit-server` to start, before one on the PATH, beside Python or in the cache",
    "OPENRTC_TURN_DETECTOR": "`english` or `multilingual` (the default): which model openrtc-turn-detector loads",
    "LIVEKIT_REMOTE_EOT_URL": "where end-of-turn detection is served: openrtc-turn-detector then loads no multilingual "
    "model",
    "LIVEKIT_AGENT_NAME_OVERRIDE": "a platform's own name for the worker; outweighs every `agent_name`",
    "LIVEKIT_TELEMETRY_ALLOW_PII": "whether livekit-agents' spans have what was said; set by OpenRTC where "
    "`[observe] words` is set",
    "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "`0`: livekit-agents' own turn detection and voice activity detection "
    "are loaded by the first call that needs them; `console` sets it",
    "LIVEKIT_INFERENCE_URL": "the gateway of LiveKit's hosted models, where that is not LiveKit Cloud's",
    "LIVEKIT_INFERENCE_API_KEY": "its key, where that is not `LIVEKIT_API_KEY`",
    "LIVEKIT_INFERENCE_API_SECRET": "its secret, where that is not `LIVEKIT_API_SECRET`",
    "LIVEKIT_OBSERVABILITY_URL": "where livekit-agents uploads recordings, where that is not LiveKit Cloud",
    "OPENRTC_BUDGET_MINUTES": "minutes after which openrtc-budget ends a call",
    "OPENRTC_BUDGET_TOKENS": "tokens of language models after which it does",
    "OPENRTC_BUDGET_USD": "US dollars after which it does, as openrtc-cost counts them",
    "OPENRTC_BUDGET_GOODBYE": "what is said then, in place of `[defaults] goodbye`",
    "OPENRTC_COST_PRICES": "prices of your own for openrtc-cost, as JSON; see its README",
    "OPENRTC_RECORDER_FOLDER": "where openrtc-recorder keeps the recordings of calls; without it, it records none",
    "OPENRTC_RECORDER_DAYS": "days after which it removes them; 30 where it is not set",
    "OPENRTC_RECORDER_SAYS": "what the agent says before its call is recorded; by default `This call is recorded.`",
    "OPENRTC_REDACT_PATTERNS": "what openrtc-redact takes out besides: regular expressions, one a line",
    "HF_HUB_CACHE": "where models of the Hugging Face hub are kept; `openrtc doctor` looks there",
    "HF_HOME": "the folder of its cache, where that is not `~/.cache/huggingface`",
    "NO_COLOR": "anything: no colours on a terminal",
    "TERM": "the kind of terminal; `dumb` has no colours",
    "COLUMNS": "the width of tables and of `--help`; by default the terminal's, and in a pipe each row is one line",
    "XDG_RUNTIME_DIR": "where workers keep the sockets of `openrtc top`; by default a folder of the user's own in the "
    "temporary folder",
    "XDG_CACHE_HOME": "where openrtc-livekit-server keeps the server that it has built; by default `~/.cache`",
    "VIRTUAL_ENV": "set by an activated environment: commands that fix something then name `uv` without `--python`, "
    "and `openrtc doctor` tells where this is another one",
}
"""What each is, for somebody who sets it."""

OF_PROCESSES = {
    "OPENRTC_HUNG_PACKAGES": "hands to a process that begins again which packages it leaves out",
    "OPENRTC_PROCESS_ROLE": "gives a process of a supervisor its role",
    "LIVEKIT_CONFIG": "taken away from the local server, which would read its settings there",
    "TMPDIR": "set to shared memory where no temporary folder can be written",
    "UV_THREADPOOL_SIZE": "threads of uvloop that look up names, where nobody sets it",
    "COMP_LINE": "a shell's command line, which it asks to be completed",
    "COMP_POINT": "where the cursor is in it",
}
"""Those that OpenRTC itself, or a shell, sets for its own processes: nobody else has to."""
