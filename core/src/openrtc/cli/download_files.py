"""`openrtc download-files`: fetch the model files that installed LiveKit plugins need."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""


def run(args: argparse.Namespace) -> int:
    """Download the files of every LiveKit plugin; exit 1 when one could not be had."""
    from openrtc.discovery.tolerance import tolerate_unreadable_metadata

    tolerate_unreadable_metadata()
    from livekit.agents import Plugin

    from openrtc.errors import one_line

    failures = 0
    _import_livekit_plugins()
    for plugin in Plugin.registered_plugins:
        print(f"{plugin.package} {plugin.version} ...", flush=True)
        try:
            plugin.download_files()
        except Exception as error:
            failures += 1
            print(f"openrtc: {plugin.package}: {one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr)
    print(f"{len(Plugin.registered_plugins) - failures} of {len(Plugin.registered_plugins)} plugins have their files")
    return 1 if failures else 0


def _import_livekit_plugins() -> None:
    import importlib
    import pkgutil
    import warnings

    from openrtc.errors import one_line

    try:
        installed = importlib.import_module("livekit.plugins")
    except ModuleNotFoundError:
        return
    warnings.simplefilter("ignore", DeprecationWarning)
    for module in pkgutil.iter_modules(installed.__path__, "livekit.plugins."):
        try:
            importlib.import_module(module.name)
        except Exception as error:
            print(f"openrtc: {module.name}: {one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr)
