"""What stays apart: declarations from Spark, the driver from rows, the machinery from use cases."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[1]
LIB = HOME / "lib" / "tidemill"
OURS = sorted(path for folder in (LIB, HOME / "jobs", HOME / "feature_repo") for path in folder.rglob("*.py"))
FROM_HERE = str(HOME)

PURE = [
    "tidemill.declare",
    "tidemill.pages",
    "tidemill.core.time",
    "tidemill.models.promotion",
    "tidemill.models.splits",
]
PURE += [f"tidemill.stats.{p.stem}" for p in (LIB / "stats").glob("*.py") if p.stem != "__init__"]
PURE += [f"tidemill.pages.{p.stem}" for p in (LIB / "pages").glob("*.py") if p.stem != "__init__"]
PURE += ["tidemill.models.use_case", "tidemill.models.specs", "tidemill.features.specs", "tidemill.data.sources"]
PURE += [f"tidemill.models.{name}" for name in ("gate", "guardrails", "paired", "comparison")]
PURE += ["tidemill.models.onnx_export", "tidemill.models.onnx_scoring", "tidemill.models.onnx_adversary"]


@pytest.mark.parametrize("names", [[name] for name in PURE[:5]] + [PURE], ids=[*PURE[:5], "all"])
def test_declarations_and_pure_functions_need_no_spark(names: list[str]) -> None:
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert loaded & {"pyspark", "py4j", "delta", "feast", "mlflow", "xgboost"} == set()


def test_every_declaration_is_importable_from_one_place() -> None:
    from tidemill import declare

    assert sorted(declare.__all__) == declare.__all__
    assert all(hasattr(declare, name) for name in declare.__all__)


@pytest.mark.parametrize("path", OURS, ids=lambda path: str(path.relative_to(FROM_HERE)))
def test_no_row_is_brought_to_the_driver(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    found = [f"line {c.lineno}: .{c.func.attr}()" for c in calls if c.func.attr in {"toPandas", "collect"}]  # type: ignore[attr-defined]
    assert found == []


def test_no_module_holds_two_ideas() -> None:
    longest = {str(path.relative_to(LIB)): len(path.read_text("utf-8").splitlines()) for path in LIB.rglob("*.py")}
    assert {name: lines for name, lines in longest.items() if lines > 250} == {}


def test_every_code_of_an_error_is_explained() -> None:
    sources = [*OURS, *(HOME / "bench").glob("*.py"), *HOME.glob("*.sh"), *(HOME / "lib").glob("*.sh")]
    texts = [path.read_text("utf-8") for path in sources]
    raised = {code for text in texts for code in re.findall(r"(?<![\w_])E_[A-Z_]+(?![\w_])", text)}
    raised -= {"E_CODE"}  # the name of an argument
    explained = set(re.findall(r"`(E_[A-Z_]+)`", (HOME / "docs" / "errors.md").read_text("utf-8")))
    assert raised - explained == set()
    assert explained - raised == set()


def test_the_machinery_knows_no_use_case() -> None:
    names = {path.stem for path in (HOME / "feature_repo").glob("*.py")} - {"definitions"}
    assert {"retail"} <= names
    word = re.compile(rf"\b(?:{'|'.join(sorted(names | {'churn', 'air_quality'}))})\b", re.IGNORECASE)
    allowed = {"cli/arguments.py"}  # the default use case of a fresh clone
    found = [
        f"{path.relative_to(LIB)}:{number}: {line.strip()}"
        for path in LIB.rglob("*.py")
        if path.relative_to(LIB).parts[0] != "demo" and str(path.relative_to(LIB)) not in allowed
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if word.search(line)
    ]
    assert found == []
