"""Checks of the machine: Java, Python, JARs, folders, the clock, and Spark's workers."""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tidemill.cli.findings import Finding
from tidemill.core.errors import Exit

# What workers import beside Spark's own: the files are read with Arrow, models are scored with ONNX Runtime.
_ON_WORKERS = ("numpy", "onnxruntime", "pandas", "pyarrow", "pyspark", "xgboost", "xgboost-cpu")
_JAVAS = ("17", "21")
_SKEW_SECONDS = 5.0


def java() -> Finding:
    """The Java that the JVM is started with."""
    home = os.environ.get("JAVA_HOME", "")
    try:
        said = subprocess.run(  # noqa: S603 - the same program that Spark starts
            [str(Path(home, "bin", "java")), "-version"], capture_output=True, text=True, check=True
        ).stderr
    except (OSError, subprocess.CalledProcessError):
        next_step = f"install Java {' or '.join(_JAVAS)}, or set JAVA_HOME to one"
        return Finding("Java", f"none starts at JAVA_HOME ({home or 'not set'})", Exit.UNAVAILABLE, next_step)
    found = re.search(r'version "(\d+)[^"]*"', said)
    major = found[1] if found else "of no known version"
    if major not in _JAVAS:
        next_step = f"set JAVA_HOME to a Java {' or '.join(_JAVAS)}"
        return Finding("Java", f"it is Java {major}, at {home}", Exit.UNAVAILABLE, next_step)
    return Finding("Java", f"Java {major} at {home}")


def python() -> Finding:
    """The Python of the driver, and that the workers are told to use the same."""
    own, theirs = sys.executable, os.environ.get("PYSPARK_PYTHON", "")
    next_step = "run it as ./tidemill, which names this Python for the workers"
    if not theirs:
        return Finding("Python", "PYSPARK_PYTHON is not set: workers would take another", Exit.CONFIGURATION, next_step)
    try:
        asked = "import platform; print(platform.python_version())"
        version = subprocess.run(  # noqa: S603 - the same program that Spark starts
            [theirs, "-c", asked], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return Finding("Python", f"PYSPARK_PYTHON ({theirs}) does not start", Exit.CONFIGURATION, next_step)
    if version != platform.python_version():
        said = f"workers would have {version}, the driver has {platform.python_version()}"
        return Finding("Python", said, Exit.CONFIGURATION, next_step)
    return Finding("Python", f"{version} at {own}")


def jars(lock: Path, variable: str = "TIDEMILL_JARS") -> Finding:
    """The JARs beside pyspark's: all there, with the locked digests.

    Args:
        lock: names them.
        variable: names their folder; where it is not set, they are in the folder of the other JARs.
    """
    what = "JARs" if lock.stem == "jars" else f"JARs of {lock.name}"
    folder = Path(os.environ.get(variable) or os.environ.get("TIDEMILL_JARS", ""))
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        digest, name = line.split()
        path = folder / name
        if not path.is_file():
            return Finding(
                what, f"{name} is not in {folder}", Exit.CONFIGURATION, f"put the files of {lock.name} there"
            )
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return Finding(
                what, f"{path} is not the locked file", Exit.UNAVAILABLE, "delete it, and ask who put it there"
            )
    return Finding(what, f"all that {lock.name} names, in {folder}")


def writable(folder: Path) -> Finding:
    """Whether this user may make files in a folder, or in the nearest one above it that is there."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".tidemill-doctor-"):
            pass
    except OSError as error:
        next_step = "give the user who runs the jobs the right to write there, or free space"
        return Finding(str(folder), f"nothing can be written there: {error.strerror}", Exit.IO, next_step)
    return Finding(str(folder), "it can be written" if place == folder else "it can be made")


def readable(repo: Path) -> Finding:
    """Whether every file of a feature repository can be read."""
    if not repo.is_dir():
        return Finding(str(repo), "there is no such feature repository", Exit.USAGE, "name it with --repo")
    closed = [path for path in sorted(repo.rglob("*")) if not os.access(path, os.R_OK)]
    if closed:
        return Finding(
            str(repo), f"{closed[0]} cannot be read", Exit.IO, "give the user who runs the jobs the right to"
        )
    return Finding(str(repo), "it can be read")


def landing(place: str) -> Finding:
    """Whether the landed files of a source can be read; that there are none yet is for its own job to say."""
    fixed = Path(*itertools.takewhile(lambda part: not set(part) & set("*?["), Path(place).parts))
    found = [fixed, *sorted(fixed.rglob("*"))] if fixed.exists() else []
    closed = [path for path in found if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)]
    if closed:
        return Finding(place, f"{closed[0]} cannot be read", Exit.IO, "give the user who runs the jobs the right to")
    return Finding(place, "it can be read" if found else "nothing has landed there yet")


def clock(folder: Path) -> Finding:
    """Whether this machine and the one that keeps the files agree about the time."""
    place = next(path for path in (folder, *folder.parents) if path.is_dir() and os.access(path, os.W_OK))
    with tempfile.NamedTemporaryFile(dir=place, prefix=".tidemill-doctor-") as file:
        skew = Path(file.name).stat().st_mtime - time.time()
    if abs(skew) > _SKEW_SECONDS:
        said = f"files in {place} are stamped {skew:+.0f} s beside this machine's clock"
        return Finding("clock", said, Exit.CONFIGURATION, "let both follow the same time server")
    return Finding("clock", f"files in {place} are stamped within {_SKEW_SECONDS:.0f} s of this machine's clock")


def workers(root: Path) -> Finding:
    """What Spark's own workers have: the same Python and packages, and a way to the root."""
    from tidemill.core.session import spark_session

    session = spark_session("doctor", root / "doctor.log")
    wanted = (platform.python_version(), *_versions())

    def ask(_: int) -> tuple[str, ...]:
        seen = "" if root.is_dir() else f"{root} is not there"
        return (seen, platform.node(), platform.python_version(), *_versions())

    slots = session.sparkContext.defaultParallelism
    answers = session.sparkContext.parallelize(range(slots), slots).map(ask).distinct().toLocalIterator()
    for seen, node, *found in answers:
        names = ("Python", *_ON_WORKERS)
        wrong = [f"{n} {a} instead of {b}" for n, a, b in zip(names, found, wanted, strict=True) if a != b]
        if seen or wrong:
            next_step = "give workers the same environment and the same files: docs/clusters.md"
            return Finding(
                "workers", f"on {node}: {', '.join([*wrong, *([seen] if seen else [])])}", Exit.CONFIGURATION, next_step
            )
    return Finding("workers", f"the same Python and packages, and the root, in {slots} slots")


def _versions() -> tuple[str, ...]:
    found = []
    for name in _ON_WORKERS:
        try:
            found.append(importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            found.append("none")
    return tuple(found)
