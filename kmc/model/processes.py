"""Table of the processes of the event loop.

Columns of a trajectory, counters that are summed and compared, the kinds in an event log, the
conservation of atoms and charge that `kmc verify` recomputes, and the tables of the documentation
are all derived from `PROCESSES`. `docs/dev/add_a_process.md` lists what else a new one needs.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kmc.kernels import tables as t


class Process(NamedTuple):
    """One kind of event; the events that move an Mg are counted a second time where they have a row
    in `_WITH_MG`."""

    name: str  # kind in an event log
    plural: str  # name in lists
    code: int  # of the kind in the kernels
    column: str  # of `/samples`
    counter: int  # of the kernels
    description: str  # of the column
    vacancies: int = 0  # change of their number in the box by one event; of atoms the opposite
    electrons: int = 0  # that leave through the outer circuit: 1 for an oxidation
    column_Mg: str = ""
    counter_Mg: int = -1
    description_Mg: str = ""


# fmt: off
_ROWS = (
    Process("hop", "hops", t.HOP, "hops", t.HOPS,
            "Hops of an atom into a vacancy, so far"),
    Process("strip", "strips", t.STRIP, "strips", t.STRIPS,
            "Li atoms stripped into the electrolyte, so far", 1, 1),
    Process("absorption", "absorptions", t.ABSORPTION, "absorbed", t.ABSORBED,
            "Vacancies absorbed by the reservoir above the top layer, so far", -1),
    Process("emission", "emissions", t.EMISSION, "emitted", t.EMITTED,
            "Vacancies emitted by the reservoir into the top layer, so far", 1),
    Process("closure", "closures", t.CLOSURE, "closures", t.CLOSURES,
            "Void vacancies closed by creep, so far", -1),
    Process("plate", "plates", t.PLATE, "plates", t.PLATES,
            "Li ions plated from the electrolyte onto the metal, so far", -1, -1),
    Process("mg_exchange", "mg_exchanges", t.MG_EXCHANGE, "mg_exchanges", t.MG_EXCHANGES,
            "Exchanges of an Mg with a Li beside it by vacancies not followed, so far"),
    Process("push", "pushes", t.PUSH, "pushes", t.PUSHES,
            "Ions plated where no site was vacant: each pushed a column up by one layer"),
    Process("push_out", "atoms pushed out", t.PUSH_OUT, "pushed_out", t.PUSHED_OUT,
            "Atoms that such columns pushed into the reservoir, so far", 1),
)
_WITH_MG = {
    "absorption": (t.ABSORBED_MG, "Absorptions that filled the vacancy with Mg, so far"),
    "emission": (t.EMITTED_MG, "Emissions that took an Mg atom into the reservoir, so far"),
    "closure": (t.CLOSURES_MG, "Closures for which an Mg atom entered at the top, so far"),
    "push_out": (t.PUSHED_OUT_MG, "Mg among the atoms pushed into the reservoir, so far"),
}
# fmt: on
PROCESSES = tuple(
    row._replace(column_Mg=f"{row.column}_Mg", counter_Mg=mg[0], description_Mg=mg[1])
    if (mg := _WITH_MG.get(row.name))
    else row
    for row in _ROWS
)
KINDS = {process.code: process.name for process in PROCESSES}
WITH_MG = tuple(process for process in PROCESSES if process.column_Mg)


def listed() -> str:
    """``hops, strips, … and closures``, for texts."""
    names = [process.plural for process in PROCESSES]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def gained(rows: Mapping, change: str, *, mg: bool = False) -> Any:
    """Total change of a quantity by all events so far.

    - `rows` (mapping of str to array): columns of `/samples`; those that an older file lacks count
      as 0.
    - `change`: ``"vacancies"`` or ``"electrons"``.
    - `mg`: count the events that moved an Mg atom only.
    """
    total = 0
    for process in PROCESSES:
        column = process.column_Mg if mg else process.column
        if column in rows:
            total = total + getattr(process, change) * rows[column]
    return total
