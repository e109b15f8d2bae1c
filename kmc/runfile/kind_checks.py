"""Checks that all runs with a section of their own kind share."""

from __future__ import annotations

from kmc.common.validation import Problem
from kmc.runfile import kinds
from kmc.runfile.run_file import Origin, RunFile


def exclusive_kinds(run: RunFile, origin: Origin) -> list[Problem]:
    """A run is of one kind."""
    given = [f"[{name}]" for name in kinds.sections() if name in run.model_fields_set]
    if len(given) < 2:
        return []
    text = f"{' and '.join(given)} in {origin.source} exclude each other"
    return [Problem(text, "Keep one of them.")]


def unused_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Keys that a run file gives and its kind of run does not use."""
    problems = []
    kind = kinds.KINDS[run.kind]
    if kind.uses is None:
        return []
    for section in sorted(run.model_fields_set - {kind.section, "parameters"}):
        table, used = getattr(run, section), kind.uses.get(section, ())
        for key in sorted(table.model_fields_set - set(used)):
            value = getattr(table, key)
            if value is not None:
                problems.append(
                    Problem(
                        f"{origin.shown(section, key, value)} has no meaning in a run with "
                        f"[{kind.section}]",
                        f"Remove it; of [{section}] it uses {', '.join(used) or 'nothing'}.",
                    )
                )
    return problems
