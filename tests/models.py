"""A small table with every kind of column, and parameters to fit any estimator on it."""

from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from retrace.params import Params, read_params
from tests.conftest import ROLES, ROOT, boosting

RNG = np.random.default_rng(0)
SIZE = RNG.normal(size=400)
TABLE = pd.DataFrame(
    {
        "id": [f"{n}" for n in range(400)],
        "size": SIZE,
        "gaps": np.where(RNG.random(400) < 0.3, np.nan, SIZE),
        "empty": np.nan,
        "rooms": RNG.integers(1, 6, 400),
        "sold": RNG.random(400) > 0.5,
        "city": pd.Series(RNG.choice(["Bern", "Basel", None], 400), dtype="str"),
        "street": [f"street {n % 390}" for n in range(400)],
        "price": SIZE * 3 + RNG.normal(size=400),
    }
)


def params_for(task: str, model: str | None = None, **arguments: Any) -> Params:
    """Parameters for TABLE: boosting if no model is named."""
    content = read_params(ROOT / "params.yaml").model_dump()
    content["problem"]["costs"] = None
    metric = "r2" if task == "regression" else "log_loss"
    content["gate"] |= {"metric": metric, "baselines": ["prior"], "smallest_difference": {metric: 0.01}}
    content["data"] = ROLES | {"source": "x", "read": {}, "target": "price", "task": task, "id": "id"}
    content["split"] = {"by": "random", "valid": 0.2, "test": 0.2, "seed": 1}
    content["train"] = boosting(task, refits=2)
    if model:
        content["train"] |= {"model": model, "arguments": arguments}
    else:
        content["train"]["arguments"] |= arguments
    return TypeAdapter(Params).validate_python(content)


def table_for(task: str, classes: int = 2) -> pd.DataFrame:
    """TABLE, whose target is text for a classification."""
    if task == "regression":
        return TABLE.copy()
    return TABLE.assign(price=pd.qcut(TABLE["price"], classes, labels=False).map("class {}".format).astype("str"))
