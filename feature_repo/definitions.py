"""What `feast apply` finds in this folder: the objects of every use case, made from its declaration.

Feast looks at the module's own names, so each object gets one.
"""

import os
from pathlib import Path

from tidemill.data.tables import Lake
from tidemill.features.feast_objects import feast_objects
from tidemill.models.use_case import load_use_case, use_case_names

_HERE = Path(__file__).resolve().parent
_ROOT = Path(os.environ.get("TIDEMILL_ROOT", _HERE.parent / "var"))

for _name in use_case_names(_HERE):
    _use_case = load_use_case(_HERE, _name)
    for _object in feast_objects(_name, _use_case.description, _use_case.views, Lake(_ROOT, "feast")):
        globals()[f"{type(_object).__name__.lower()}_{_object.name}"] = _object
