"""`openrtc download-files`: fetch the model files that installed LiveKit plugins need."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command has no options."""


def run(args: argparse.Namespace) -> int:
    """Download the files of every LiveKit plugin; exit 1 when a download failed."""
    from openrtc.discovery.tolerance import tolerate_unreadable_metadata

    tolerate_unreadable_metadata()
    from livekit.agents import Plugin

    _import_livekit_plugins()
    plugins, failures = Plugin.registered_plugins, 0
    for plugin in plugins:
        print(f"{plugin.package} {plugin.version} ...", flush=True)
        try:
            plugin.download_files()
        except Exception as error:  # of the network or of the plugin: the others' files are wanted all the same
            failures += 1
            _print_error(plugin.package, error)
    print(f"{len(plugins) - failures} of {len(plugins)} plugins have their files")
    return 1 if failures else 0


def _import_livekit_plugins() -> None:
    """Import every package of ``livekit.plugins``: livekit-agents knows a plugin only once it is imported."""
    import importlib
    import pkgutil
    import warnings

    try:
        installed = importlib.import_module("livekit.plugins")
    except ModuleNotFoundError:
        return
    warnings.simplefilter("ignore", DeprecationWarning)  # of the plugins: the user can do nothing about them
    for module in pkgutil.iter_modules(installed.__path__, "livekit.plugins."):
        try:
            importlib.import_module(module.name)
        except Exception as error:  # a broken plugin must not keep the others from their files
            _print_error(module.name, error)


def _print_error(name: str, error: Exception) -> None:
    from openrtc.errors import one_line

    print(f"openrtc: {name}: {one_line(f'{type(error).__name__}: {error}', 300)}", file=sys.stderr)
