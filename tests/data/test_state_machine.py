"""Deliveries, crashes, rebuilds and upkeep in any order: the tables hold what a few lines of Python say they should."""

from __future__ import annotations

import contextlib
import gzip
import random
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from data_shops import HEADER, land_contract, rejected, rows_of
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from tidemill.core.failpoints import Crashed, armed
from tidemill.core.home import HOME
from tidemill.data.tables import SILVER

if TYPE_CHECKING:
    from conftest import Shop

GOOD = st.builds(lambda n, day: f"{n},{n}.5,2024-01-{day:02},n{n % 3},true\n", st.integers(0, 4), st.integers(1, 5))
BAD = st.sampled_from(["few\n", "x,1,2024-01-01,ann,true\n", "1,1,2999-01-01,ann,true\n", '1,1,"2024-01-01,a,true\n'])
PLACES = [
    name
    for file in ("lib/tidemill/data/commit.py", "lib/tidemill/data/write.py", "lib/tidemill/cli/ingesting.py",
                 "lib/tidemill/cli/refining.py")
    for name in re.findall(r'failpoint\("([a-z_.]+)"', (HOME / file).read_text("utf-8"))
]  # fmt: skip


class Deliveries(RuleBasedStateMachine):
    """A source and its model: the files that were delivered, each with its lines."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="tidemill-states-")
        self.shop: Shop = land_contract(Path(self._folder.name), "csv")
        self.files: dict[str, list[str]] = {}
        self.broken: set[str] = set()

    def teardown(self) -> None:
        self._folder.cleanup()

    def _land(self, name: str, data: bytes) -> None:
        path = self.shop.root / "landing" / "readings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    @initialize(lines=st.lists(GOOD, min_size=1, max_size=3))
    def begin(self, lines: list[str]) -> None:
        self.deliver(lines)

    @rule(lines=st.lists(GOOD | GOOD | BAD, min_size=1, max_size=5))
    def deliver(self, lines: list[str]) -> None:
        """New rows, late ones among them: days are drawn anew each time."""
        name = f"{len(self.files):02}.csv"
        self.files[name] = lines
        self._land(name, (HEADER + "".join(lines)).encode())

    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        """The rows of a file under another name."""
        self.deliver(list(self.files[data.draw(st.sampled_from(sorted(self.files)))]))

    @rule()
    def deliver_corrupted(self) -> None:
        name = f"broken-{len(self.broken)}.csv.gz"
        self.broken.add(name)
        self._land(name, gzip.compress(HEADER.encode() * 100)[:-5])

    @rule()
    def run(self) -> None:
        self._run("ingest refine")
        self._check()

    @rule(place=st.sampled_from(sorted(set(PLACES))))
    def crash_and_run(self, place: str) -> None:
        with armed(place), contextlib.suppress(Crashed):
            self.shop.run("ingest refine")
        self._run("ingest refine")
        self._check()

    @precondition(lambda self: (self.shop.root / "lake").exists())
    @rule()
    def rebuild(self) -> None:
        """All of bronze refined again."""
        self._run("ingest refine")
        self._run("refine", "--rebuild")
        self._check()

    @precondition(lambda self: (self.shop.root / "lake").exists())
    @rule()
    def tend(self) -> None:
        """Compaction and vacuum, as eager as they can be."""
        self._run("maintain", "--set", "maintain.target_files=1", "--set", "maintain.retention_hours=0")

    def _run(self, jobs: str, *arguments: str) -> None:
        code, summary = self.shop.run(jobs, *arguments)
        assert code == 0, summary

    def _check(self) -> None:
        held = Counter(f"{r['id']},{r['amount']},{r['event_time']:%Y-%m-%d}" for r in rows_of(self.shop, SILVER))
        expected: Counter[str] = Counter()
        bad: Counter[str] = Counter()
        for name, lines in self.files.items():
            expected |= Counter(",".join(text.split(",")[:3]) for text in lines if is_good(text))
            bad[name] += sum(not is_good(text) for text in lines)
        assert held == expected
        found = Counter(row[0] for row in rejected(self.shop))
        assert found == +bad + Counter(self.broken)


def is_good(text: str) -> bool:
    """Whether a line is one of those that are valid."""
    return re.fullmatch(r"\d,\d\.5,2024-01-\d\d,n\d,true\n", text) is not None


def explore(examples: int) -> None:
    number = random.randrange(1 << 32)  # noqa: S311
    print(f"seed {number}")  # noqa: T201
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        seed(number)(Deliveries),
        settings=settings(
            max_examples=examples, stateful_step_count=4, deadline=None, suppress_health_check=checks, print_blob=True,
            database=None,
        ),
    )  # fmt: skip


@pytest.mark.usefixtures("spark")
def test_twenty_histories() -> None:
    explore(20)


@pytest.mark.soak
@pytest.mark.usefixtures("spark")
def test_two_hundred_histories() -> None:
    explore(200)
