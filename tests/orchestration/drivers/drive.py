"""Runs a flow in one orchestrator, twice, in that orchestrator's own environment; prints what it made of it as JSON.

`python drive.py ORCHESTRATOR FLOW SUBMIT ROOT AS_OF`
"""

import importlib
import json
import sys

from tidemill.orchestration.dag import flow_named
from tidemill.orchestration.steps import Target

orchestrator, name, submit, root, as_of = sys.argv[1:]
driver = importlib.import_module(f"drive_{orchestrator}")
flow, target = flow_named(name), Target(submit, root, use_case="shop", attempts=2, wait=0.1)
edges, runs = driver.drive(flow, target, as_of)
print(json.dumps({"edges": sorted(edges), "runs": runs}))
