"""What a distribution's METADATA says of it: the rules `metadata`, `licence` and `described`."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import Parser

from packaging.version import InvalidVersion, Version

from openrtc.check.card import Finding, RuleVerdict
from openrtc.errors import one_line

_UNKNOWN = ("", "unknown")
"""What setuptools writes where a project says nothing."""


def judge_metadata(text: str) -> Iterator[Finding]:
    """Yield what the metadata rules find.

    Args:
        text: The METADATA.
    """
    headers = Parser().parsestr(text)
    yield _check_names(headers)
    yield _check_licence(headers)
    yield _check_description(headers)


def _check_names(headers: Message) -> Finding:
    missing = [field for field in ("Name", "Version", "Summary") if not _read(headers, field)]
    if missing:
        fix = f"write {' and '.join(_key(field) for field in missing)} under [project] in pyproject.toml"
        return Finding("metadata", RuleVerdict.FAILED, f"it has no {' and no '.join(missing)}", fix)
    version = _read(headers, "Version")
    try:
        Version(version)
    except InvalidVersion:
        fix = "write one as PEP 440 has it, such as 1.0"
        return Finding("metadata", RuleVerdict.FAILED, f"{version!r:.60} is no version", fix)
    return Finding("metadata", RuleVerdict.PASSED, one_line(_read(headers, "Summary"), 200))


def _check_licence(headers: Message) -> Finding:
    classifiers = [one for one in headers.get_all("Classifier", []) if one.startswith("License ::")]
    private = [one for one in headers.get_all("Classifier", []) if one.startswith("Private ::")]
    said = _read(headers, "License-Expression") or _read(headers, "License") or next(iter(classifiers), "")
    files = headers.get_all("License-File", [])
    if found := said or (f"the file {files[0]}" if files else "") or next(iter(private), ""):
        return Finding("licence", RuleVerdict.PASSED, one_line(found, 100))
    fix = 'write license = "…" under [project] in pyproject.toml, an SPDX expression such as "Apache-2.0"'
    return Finding("licence", RuleVerdict.FAILED, "its metadata names none", f"{fix}, or LicenseRef-Proprietary")


def _check_description(headers: Message) -> Finding:
    body = headers.get_payload()
    missing = []
    if not (_read(headers, "Description") or (isinstance(body, str) and body.strip())):
        missing.append(("long description", "readme"))
    if not _read(headers, "Requires-Python"):
        missing.append(("Requires-Python", "requires-python"))
    if missing:
        fix = f"write {' and '.join(key for _, key in missing)} under [project] in pyproject.toml"
        return Finding(
            "described", RuleVerdict.FAILED, f"it has no {' and no '.join(what for what, _ in missing)}", fix
        )
    return Finding("described", RuleVerdict.PASSED, f"Python {_read(headers, 'Requires-Python')}")


def _read(headers: Message, field: str) -> str:
    text = str(headers.get(field) or "").strip()
    return "" if text.lower() in _UNKNOWN else text


def _key(field: str) -> str:
    return "description" if field == "Summary" else field.lower()
