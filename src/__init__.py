"""This project: its stages, data sets and model. `python -m src...` runs under the settings of retrace/__init__.py."""

import retrace  # noqa: F401
