"""A program: scores rows with a packaged model in a process of its own, which holds nothing else of this project.

Run as `python -I registry_elsewhere.py MODEL ROWS SCORES`: the folder of the model, an Arrow file of its inputs, and
the Arrow file to make.
"""

import sys

import mlflow.pyfunc
import pyarrow as pa


def main(model: str, rows: str, scores: str) -> None:
    """Loads the model as anybody would, scores the rows, and writes the scores in their order, column by column."""
    with pa.ipc.open_file(rows) as file:
        frame = file.read_pandas()
    found = mlflow.pyfunc.load_model(model).predict(frame).to_numpy().reshape(len(frame), -1)
    columns = pa.table({str(number): column for number, column in enumerate(found.T)})
    with pa.ipc.new_file(scores, columns.schema) as file:
        file.write_table(columns)


if __name__ == "__main__":
    main(*sys.argv[1:])
