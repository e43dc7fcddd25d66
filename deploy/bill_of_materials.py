"""Prints a software bill of materials (CycloneDX 1.6, JSON): every locked package and JAR, with its digests.

`python deploy/bill_of_materials.py FOLDER`. Made from the lock files alone, so that it says what is installed anywhere.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_JAR = re.compile(r"^([0-9a-f]{64})  (?P<group>[^_]+)_(?P<name>.+)-(?P<version>[0-9][^-]*(?:-[^-]+)?)\.jar$")


def packages(text: str) -> list[dict[str, Any]]:
    """The components of a requirements file; one entry begins where a line does not start with a blank."""
    found = []
    for entry in re.split(r"\n(?=[A-Za-z0-9])", text):
        named = _PACKAGE.match(entry)
        if named:
            digests = [{"alg": "SHA-256", "content": digest} for digest in sorted(set(_HASH.findall(entry)))]
            found.append(_component(named[1], named[2], f"pkg:pypi/{named[1].lower()}@{named[2]}", digests))
    return found


def jars(text: str) -> list[dict[str, Any]]:
    """The components of a list of JARs."""
    found = []
    for line in text.splitlines():
        named = _JAR.match(line)
        if named:
            group, name, version = named["group"], named["name"], named["version"]
            digests = [{"alg": "SHA-256", "content": named[1]}]
            found.append(_component(f"{group}:{name}", version, f"pkg:maven/{group}/{name}@{version}", digests))
    return found


def _component(name: str, version: str, purl: str, digests: list[dict[str, str]]) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl, "hashes": digests}


def bill(folder: Path) -> dict[str, Any]:
    """The whole bill of a checkout."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parts = packages((folder / "requirements.lock").read_text(encoding="utf-8"))
    for lock in ("jars.lock", "jars-s3.lock"):
        parts += jars((folder / lock).read_text(encoding="utf-8"))
    itself = {"type": "application", "name": project["name"], "version": project["version"]}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": itself},
        "components": parts,
    }


if __name__ == "__main__":
    print(json.dumps(bill(Path(sys.argv[1])), indent=2))
