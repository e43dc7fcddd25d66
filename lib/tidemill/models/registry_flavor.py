"""A packaged model in MLflow's folder: loaded as a Spark pipeline, or as a pyfunc without Spark, JVM and pickle."""

from __future__ import annotations

import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import pyspark
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema

from tidemill.models import onnx_scoring

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidemill.models.packaging import Package

GRAPH_FOLDER = "data/graph"  # of a registered version: the graph and what belongs to it
_CPU, _CUDA = "xgboost-cpu", "xgboost"  # the two builds of one library
TO_TRAIN = ("pyspark", _CPU, "pandas", "numpy", "pyarrow")
_TO_SCORE = ("onnxruntime", "pandas", "numpy", "pyarrow")


class PackageFlavor:
    """What MLflow asks of a flavour: to save a model in a folder, and to say there how it is loaded."""

    @staticmethod
    def save_model(path: str, mlflow_model: Model, package: Package) -> None:
        """Saves a package. The module that scores is saved with it, so that it scores alike for good.

        Args:
            path: the folder to make.
            mlflow_model: the description to complete.
            package: what to save; its Spark folder is moved.
        """
        import mlflow.pyfunc  # which warns about itself: the caller keeps it quiet
        import pandas as pd

        mlflow_model.add_flavor(
            "spark",
            pyspark_version=pyspark.__version__,
            model_data=package.spark.name,
            model_class="pyspark.ml.pipeline.PipelineModel",
            requirements=pinned(TO_TRAIN),
        )
        inputs = Schema([ColSpec(kind, name, required=False) for name, kind in package.inputs.items()])
        numbers = {name: "float64" for name, kind in package.inputs.items() if kind == "double"}
        outputs = Schema([ColSpec("double", name) for name in onnx_scoring.columns_of(package.classes)])
        scoring = Path(onnx_scoring.__file__)
        mlflow.pyfunc.save_model(
            path,
            loader_module=scoring.stem,
            code_paths=[str(scoring)],
            data_path=str(package.graph),
            mlflow_model=mlflow_model,
            signature=ModelSignature(inputs, outputs),
            input_example=pd.DataFrame([package.example]).astype(numbers),
            pip_requirements=pinned(_TO_SCORE),
        )
        shutil.move(package.spark, path)


def pinned(names: Iterable[str]) -> list[str]:
    """Packages at the versions of this environment, as pip writes them; XGBoost under the name of its build."""
    there = [_CUDA if name == _CPU and not _is_there(_CPU) and _is_there(_CUDA) else name for name in names]
    return [f"{name}=={version(name)}" for name in there]


def installed(names: Iterable[str]) -> dict[str, str]:
    """Those of the packages that this environment has, as pip writes them, by name."""
    return {name: pinned([name])[0] for name in names if _is_there(name) or (name == _CPU and _is_there(_CUDA))}


def _is_there(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
