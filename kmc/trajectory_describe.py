"""What a trajectory says of itself in a terminal and in a notebook."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from kmc.wording import count, driven_by, duration, figure, scaled

if TYPE_CHECKING:
    from kmc.trajectory import Trajectory


def state(trajectory: Trajectory) -> str:
    """``finished: capacity reached``, or what is known of a run that has not finished."""
    if trajectory.finished:
        return f"finished: {trajectory.stop_reason}"
    return f"not finished: {trajectory.stop_reason or 'still running, or stopped from outside'}"


def describe_rows(trajectory: Trajectory) -> list[tuple[str, str]]:
    """Label and text of what one wants to know first."""
    samples, frames, box = trajectory.samples, trajectory.frames, trajectory.box
    system = trajectory.run.get("system", {})
    conditions = trajectory.run.get("conditions", {})
    rows = [("run", state(trajectory))]
    nx, ny = box["cells"]
    rows.append(
        (
            "box",
            f"{box['name']}, {nx} × {ny} cells, {box['layers']} layers, {box['boundary']}, "
            f"{'–'.join(trajectory.species) or 'unknown species'}"
            + (f" ({system['params']})" if "params" in system else ""),
        )
    )
    if conditions:
        rows.append(
            (
                "conditions",
                f"{figure(conditions.get('temperature_K', float('nan')), 'K', 5)}, "
                f"{driven_by(conditions)}, "
                f"seed {trajectory.seed}",
            )
        )
    if len(samples):
        last = {name: samples[name][-1] for name in samples}
        rows.append(
            (
                "samples",
                f"{count(len(samples))} to {figure(last['capacity_monolayers'])} monolayers, "
                f"{duration(last['time_s'])}, {count(last['events'])} events",
            )
        )
        if trajectory.has_interface:
            first = samples["contact_fraction"][0]
            rows.append(("contact", f"{figure(first)} → {figure(last['contact_fraction'])}"))
            volts = samples["overpotential_V"]
            rows.append(("overpotential", f"{scaled(volts[0], 'V')} → {scaled(volts[-1], 'V')}"))
        rows.append(("vacancies", count(last["vacancies"])))
    else:
        rows.append(("samples", "none yet"))
    rows.append(("frames", count(len(frames)) if len(frames) else "none yet"))
    created = trajectory.provenance.get("created", "")
    rows.append(
        ("written by", f"kmc {trajectory.kmc_version}" + (f", {created}" if created else ""))
    )
    return rows


def describe_text(trajectory: Trajectory) -> str:
    """Some lines of text."""
    rows = describe_rows(trajectory)
    width = max(len(label) for label, _ in rows)
    lines = [f"  {label:<{width}}  {text}" for label, text in rows]
    return "\n".join([f"Trajectory {trajectory.path}", *lines])


def describe_html(trajectory: Trajectory) -> str:
    """A table for a notebook."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{escape(label)}</th>"
        f"<td style='text-align:left'>{escape(text)}</td></tr>"
        for label, text in describe_rows(trajectory)
    )
    return (
        f"<table><caption>Trajectory <b>{escape(str(trajectory.path))}</b></caption>{cells}</table>"
    )
