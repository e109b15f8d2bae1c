"""What the file of a population holds, beside what every file of tables does.

    /frames/h_um           the gap itself, in single precision
    /points/NAME           one row a frame and void that is smaller than two cells
    /events/NAME           one row a split, collapse, coalescence or new void

Files of schema 1, of the population of discs, have /voids and /discs in place of the gap; they are
read, not written.
"""

from pathlib import Path
from typing import Any

import numpy as np

from kmc.files.table_file import Tables, columns_of

_COLUMNS = columns_of(Path(__file__).with_suffix(".csv"))
CELLS = {f"{axis}_um": ("µm", f"Centre of each cell of the gap along {axis}") for axis in "yx"}
TABLES = Tables(
    _COLUMNS["samples"],
    _COLUMNS["frames"],
    CELLS,
    {name: _COLUMNS[name] for name in ("points", "events")},
    format="kmc population",
    axes={"h_um": tuple(CELLS)},
)


def complete(record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Add columns that files of schema 1 lack: theirs is a strip, and a rest perhaps."""
    current = record["resolved"]["run"]["conditions"]["current_density_mA_cm2"]
    for path in [path for path in arrays if path.endswith("/phase")]:
        group = path.removesuffix("/phase")
        # They had one current, and neither steps nor plating.
        if f"{group}/current_density_mA_cm2" not in arrays:
            arrays[f"{group}/current_density_mA_cm2"] = current * (arrays[path] == 0)
            none = np.zeros(len(arrays[path]))
            arrays.update({f"{group}/{name}": none for name in ("step", "cycle", "plated_um")})
