"""The most memory that a driver had, by the kernel's own record: its Python process, and its JVM.

On one machine the JVM is driver and executor in one, its heap capped by `spark.driver.memory`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

_LEFT = "memory.json"
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def leave_memory(out: Path) -> None:
    """Writes down the peaks of this process and of its JVM, which is still there; a job may have needed none."""
    spark = sys.modules.get("pyspark")
    gateway = getattr(getattr(spark, "SparkContext", None), "_gateway", None)
    peaks = {"driver_mb": peak_mb("self"), "jvm_mb": peak_mb(str(gateway.proc.pid)) if gateway is not None else 0.0}
    (out / _LEFT).write_text(json.dumps(peaks), "utf-8")


def memory_left(out: Path) -> dict[str, float]:
    """What `leave_memory` has written down: `driver_mb` and `jvm_mb`, millions of bytes."""
    found: dict[str, float] = json.loads((out / _LEFT).read_text("utf-8"))
    return found


def peak_mb(process: str) -> float:
    """The most memory that a process had at any time, in millions of bytes."""
    found = _PEAK.search(Path(f"/proc/{process}/status").read_text("utf-8"))
    return int(found.group(1)) * 1024 / 1e6 if found is not None else 0.0
