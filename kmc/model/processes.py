"""Table of the processes of the event loop.

Columns of a trajectory, counters that are summed and compared, the kinds in an event log, the
conservation of atoms and charge that `kmc verify` recomputes, and the tables of the documentation
are all derived from `PROCESSES`. `docs/dev/add_a_process.md` lists what else a new one needs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmc.kernels import tables


@dataclass(frozen=True)
class Process:
    """One kind of event.

    Attributes
    ----------
    name : str
        Kind in an event log.
    plural : str
        Name in lists.
    code : int
        Code of the kind in the kernels.
    column, counter : str, int
        Column of `/samples` and counter of the kernels that count these events.
    description : str
        Of that column.
    vacancies : int
        Change of the number of vacancies in the box by one event; that of atoms is the opposite.
    electrons : int
        Electrons that leave through the outer circuit with one event: 1 for an oxidation.
    column_Mg, counter_Mg, description_Mg : optional
        The same for events in which the atom that enters or leaves is Mg; empty for Li only.
    since_schema : int
        First schema of trajectories that has the columns.
    optional : bool
        The columns came without a new schema: a file may lack them.
    """

    name: str
    plural: str
    code: int
    column: str
    counter: int
    description: str
    vacancies: int = 0
    electrons: int = 0
    column_Mg: str = ""
    counter_Mg: int = -1
    description_Mg: str = ""
    since_schema: int = 1
    optional: bool = False


PROCESSES = (
    Process(
        name="hop",
        plural="hops",
        code=tables.HOP,
        column="hops",
        counter=tables.HOPS,
        description="Hops of an atom into a vacancy, so far",
    ),
    Process(
        name="strip",
        plural="strips",
        code=tables.STRIP,
        column="strips",
        counter=tables.STRIPS,
        description="Li atoms stripped into the electrolyte, so far",
        vacancies=1,
        electrons=1,
    ),
    Process(
        name="absorption",
        plural="absorptions",
        code=tables.ABSORPTION,
        column="absorbed",
        counter=tables.ABSORBED,
        description="Vacancies absorbed by the reservoir above the top layer, so far",
        vacancies=-1,
        column_Mg="absorbed_Mg",
        counter_Mg=tables.ABSORBED_MG,
        description_Mg="Absorptions that filled the vacancy with Mg, so far",
    ),
    Process(
        name="emission",
        plural="emissions",
        code=tables.EMISSION,
        column="emitted",
        counter=tables.EMITTED,
        description="Vacancies emitted by the reservoir into the top layer, so far",
        vacancies=1,
        column_Mg="emitted_Mg",
        counter_Mg=tables.EMITTED_MG,
        description_Mg="Emissions that took an Mg atom into the reservoir, so far",
    ),
    Process(
        name="closure",
        plural="closures",
        code=tables.CLOSURE,
        column="closures",
        counter=tables.CLOSURES,
        description="Void vacancies closed by creep, so far",
        vacancies=-1,
        column_Mg="closures_Mg",
        counter_Mg=tables.CLOSURES_MG,
        description_Mg="Closures for which an Mg atom entered at the top, so far",
        since_schema=2,
    ),
    Process(
        name="plate",
        plural="plates",
        code=tables.PLATE,
        column="plates",
        counter=tables.PLATES,
        description="Li ions plated from the electrolyte onto the metal, so far",
        vacancies=-1,
        electrons=-1,
        optional=True,
    ),
    Process(
        name="mg_exchange",
        plural="mg_exchanges",
        code=tables.MG_EXCHANGE,
        column="mg_exchanges",
        counter=tables.MG_EXCHANGES,
        description="Exchanges of an Mg with a Li beside it by vacancies not followed, so far",
        optional=True,
    ),
    Process(
        name="push",
        plural="pushes",
        code=tables.PUSH,
        column="pushes",
        counter=tables.PUSHES,
        description="Ions plated where no site was vacant: each pushed a column up by one layer",
        optional=True,
    ),
    Process(
        name="push_out",
        plural="atoms pushed out",
        code=tables.PUSH_OUT,
        column="pushed_out",
        counter=tables.PUSHED_OUT,
        description="Atoms that such columns pushed into the reservoir, so far",
        vacancies=1,
        column_Mg="pushed_out_Mg",
        counter_Mg=tables.PUSHED_OUT_MG,
        description_Mg="Mg among the atoms pushed into the reservoir, so far",
        optional=True,
    ),
)

KINDS = {process.code: process.name for process in PROCESSES}
WITH_MG = tuple(process for process in PROCESSES if process.column_Mg)


def listed() -> str:
    """``hops, strips, … and closures``, for texts."""
    names = [process.plural for process in PROCESSES]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def gained(rows: Mapping, change: str, *, mg: bool = False):
    """Total change of a quantity by all events so far.

    Parameters
    ----------
    rows : mapping of str to array
        Columns of `/samples`; those that an older file lacks count as 0.
    change : str
        ``"vacancies"`` or ``"electrons"``.
    mg : bool
        Count the events that moved an Mg atom only.
    """
    total = 0
    for process in PROCESSES:
        column = process.column_Mg if mg else process.column
        if column in rows:
            total = total + getattr(process, change) * rows[column]
    return total
