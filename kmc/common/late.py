"""Libraries that are slow to import and seldom needed: they are loaded when they are first used.

>>> from kmc.common.late import pandas as pd
>>> pd.DataFrame({"time_s": [0.0, 1.0]}).shape
(2, 1)

Types of them stand in quotation marks, as they would be looked up with the module.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import xarray
else:

    class _Late:
        """Stands for a library until one of its names is asked for."""

        def __init__(self, library: str):
            self._library = library

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self._library), name)

    pandas, xarray = _Late("pandas"), _Late("xarray")
