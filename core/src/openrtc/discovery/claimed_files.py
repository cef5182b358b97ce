"""Finds files that two distributions say are theirs: the one that was installed last has overwritten the other's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from openrtc.discovery.metadata_folders import Installed, read_file

LARGEST_RECORD = 4_000_000
"""Bytes that are read of a RECORD: some 40,000 files. What comes after is not compared."""
LARGEST_OTHER = 65_536
"""Bytes that are read of the RECORD of what is no agent: some 700 files. Frameworks have more, in folders of theirs."""

HARMLESS = ("doc", "docs", "example", "examples", "test", "tests", "scripts")
"""Folders that many wheels hold by mistake, and that no agent's code imports from."""
CODE = (".py", ".pyd", ".so", ".pth")


NAME_SPACES = ("livekit", "google")
"""Name spaces of many distributions; `discovery.hidden_livekit` looks for who hides the first."""


class Clash(NamedTuple):
    """A file that two distributions say is theirs.

    Args:
        path: The file, as both have it.
        other: The other distribution.
        intact: Whether the file is this distribution's, by the hash that it has for it.
        switchable: Whether the other one has agents or plugins, so that the operator can switch it off.
    """

    path: str
    other: Installed
    intact: bool
    switchable: bool = True


class ClaimedFile(NamedTuple):
    """A file that a distribution says is its own, with the digest that it has for it, as RECORD writes it."""

    owner: Installed
    path: str
    digest: str


def find_clashes(owners: Iterable[Installed], others: Iterable[Installed] = ()) -> dict[str, list[Clash]]:
    """Return the clashes of each distribution, by its normalised name, one for each other distribution.

    Args:
        owners: The distributions that are compared, with each other and with the others.
        others: All that is installed besides.
    """
    claims: dict[tuple[str, str], list[ClaimedFile]] = {}
    keys = set()
    for owner in owners:
        keys.add(owner.key)
        for claim in _list_claims(owner):
            claims.setdefault((owner.place, claim.path), []).append(claim)
    for claim in _list_claims_of_others(claims, (other for other in others if other.key not in keys)):
        claims[claim.owner.place, claim.path].append(claim)
    found: dict[str, dict[str, Clash]] = {}
    for (place, path), rivals in claims.items():
        if len(rivals) == 1 or _are_equal(rivals):
            continue
        there = _hash_file(f"{place}/{path}")
        for one in (rival for rival in rivals if rival.owner.key in keys):
            for other in rivals:
                if other.owner.key != one.owner.key:
                    intact = bool(one.digest) and one.digest == there
                    clash = Clash(path, other.owner, intact, other.owner.key in keys)
                    known = found.setdefault(one.owner.key, {}).setdefault(other.owner.key, clash)
                    if known.intact and not clash.intact:
                        found[one.owner.key][other.owner.key] = clash
    return {key: list(clashes.values()) for key, clashes in found.items()}


def _list_claims_of_others(
    claims: dict[tuple[str, str], list[ClaimedFile]], others: Iterable[Installed]
) -> Iterator[ClaimedFile]:
    """Yield what others say is theirs of files that are claimed; what is named for its own distribution, nobody has.

    All others have to be read for that: a thousand take 15 ms, which only a name that others may have is to cost.
    """
    tops: dict[str, set[str]] = {}
    for (place, path), (claim, *_) in claims.items():
        top = path.partition("/")[0]
        if top not in NAME_SPACES and top.removesuffix(".py") != claim.owner.key.replace("-", "_"):
            tops.setdefault(place, set()).add(top)
    patterns = {place: _match_tops(names) for place, names in tops.items()}
    for other in others:
        pattern = patterns.get(other.place)
        if pattern and pattern.search(b"\n" + read_file(other, "RECORD", LARGEST_OTHER)):
            yield from (claim for claim in _list_claims(other) if (other.place, claim.path) in claims)


def _match_tops(names: Iterable[str]) -> re.Pattern[bytes]:
    return re.compile(rb'\n"?(?:%s)[,/\\\\]' % b"|".join(re.escape(name.encode()) for name in names))


def list_recorded(owner: Installed) -> Iterator[tuple[str, str]]:
    """Yield each file of a RECORD, relative to the distribution's place, and its digest; empty where it has none."""
    if not owner.folder.endswith(".dist-info"):
        return
    text = read_file(owner, "RECORD", LARGEST_RECORD).decode("utf-8", "replace")
    for line in text.splitlines():
        path, comma, rest = line.rpartition(",")[0].rpartition(",")
        yield os.path.normpath((path if comma else line).strip('"').replace("\\", "/")), rest.strip()


def _list_claims(owner: Installed) -> Iterator[ClaimedFile]:
    """Yield what of a RECORD somebody may import or read beside it."""
    for path, digest in list_recorded(owner):
        top, slash, _ = path.partition("/")
        if not slash and not path.endswith(CODE):
            continue  # a licence, a read-me
        if top in ("..", "", *HARMLESS) or top.endswith(".dist-info") or "__pycache__" in path:
            continue
        yield ClaimedFile(owner, path, digest)


def _are_equal(rivals: list[ClaimedFile]) -> bool:
    digests = {claim.digest for claim in rivals}
    return len(digests) == 1 and "" not in digests


def _hash_file(path: str) -> str:
    """Return the digest of a file as RECORD writes it; empty where it cannot be read."""
    import base64  # these two take 3 ms, which only a clash should cost
    import hashlib

    try:
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return ""
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
