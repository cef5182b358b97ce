"""`openrtc new`: make a package with an agent or a plugin, which installs and passes its own tests."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from openrtc.scaffold.kinds import PACKAGE_KINDS

    parser.add_argument("kind", choices=PACKAGE_KINDS, help="what the package brings")
    parser.add_argument("name", metavar="NAME", help="name of the package, and of its agent, such as flower-shop")
    parser.add_argument("--into", default=".", metavar="FOLDER", help="where its folder is made (default: here)")


def run(args: argparse.Namespace) -> int:
    """Make the package, and say what comes next."""
    import shlex
    from pathlib import Path

    from openrtc.cli.setting_options import read_settings
    from openrtc.discovery.discover import discover
    from openrtc.install_commands import editable_command
    from openrtc.scaffold.kinds import PACKAGE_KINDS
    from openrtc.scaffold.make import list_next, make_package
    from openrtc.scaffold.new_names import name_package

    is_agent = PACKAGE_KINDS[args.kind].group == "agents"
    name, module = name_package(args.name, discover(read_settings(args)), is_agent=is_agent)
    folder = Path(args.into) / name
    made = make_package(args.kind, name, module, folder)
    print(f"Made {folder}: {PACKAGE_KINDS[args.kind].summary}")
    for path in made:
        print(f"  {path.relative_to(folder)}")
    print("\nNext:")
    for line in (f"cd {shlex.quote(str(folder))}", editable_command(".[dev]"), "pytest", *list_next(args.kind, name)):
        print(f"  {line}")
    return 0
