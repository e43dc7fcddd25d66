"""The books of a lake of any size are read alike: `bench/books.py` at a size of seconds, without a JVM."""

import json
from pathlib import Path

import pytest

from bench import books


def test_books_of_three_sizes_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(books.FILES, "small", 16 * 640)
    monkeypatch.setitem(books.BATCHES, "small", 16 * 10)
    books.make_data(tmp_path, "small")
    found = []
    for contestant in books.CONTESTANTS:
        out = tmp_path / contestant.what
        out.mkdir()
        contestant.run(tmp_path, out)
        found.append(contestant.answer(out))
    expected = {
        "batches": 10.0,
        "known at half of the time": 5.0,
        "files": 640.0,
        "buckets": 64,
        "rows": 640_000_000.0,
    }
    assert found == [expected] * 3
    # 640 files lie in 640 partitions; sixteen times as many in all 1,536, seven in most of them.
    written = [json.loads((tmp_path / c.what / "answer").read_text("utf-8")) for c in books.CONTESTANTS]
    assert [answer["crowded partitions"] for answer in written] == [0, 0, 1536]
