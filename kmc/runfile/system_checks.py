"""Checks of a run with the section of another system (`kmc.systems`)."""

from __future__ import annotations

from collections.abc import Callable

from kmc.common.validation import Problem
from kmc.runfile.cathode_checks import cathode_checks
from kmc.runfile.deposition_checks import deposition_checks
from kmc.runfile.run_file import Origin, RunFile
from kmc.runfile.system_sections import SYSTEMS

_CHECKS: dict[str, Callable[[RunFile, Origin], list[Problem]]] = {
    "deposition": deposition_checks,
    "cathode": cathode_checks,
}


def system_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with such a run whose single values are all in order."""
    kinds = [name for name in (*SYSTEMS, "upscale") if name in run.model_fields_set]
    if len(kinds) > 1:
        listed = " and ".join(f"[{name}]" for name in kinds)
        return [Problem(f"{listed} in {origin.source} exclude each other", "Keep one of them.")]
    return unused_keys(run, origin) or _CHECKS[run.kind](run, origin)


def unused_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that a run file gives and the system of the run does not use."""
    problems = []
    uses = SYSTEMS[run.kind].uses
    for section in sorted(run.model_fields_set - {run.kind, "parameters"}):
        table, used = getattr(run, section), uses.get(section, ())
        for key in sorted(table.model_fields_set - set(used)):
            value = getattr(table, key)
            if value is not None:
                problems.append(
                    Problem(
                        f"{origin.shown(section, key, value)} has no meaning in a run with "
                        f"[{run.kind}]",
                        f"Remove it; of [{section}] it uses {', '.join(used) or 'nothing'}.",
                    )
                )
    return problems
