"""The summary of a deposition."""

from __future__ import annotations

from kmc.common.formatting import duration, figure, plural
from kmc.systems.deposition.cycles import aurbach_of
from kmc.trajectory.table_run import TableRun


def summary(run: TableRun) -> list[tuple[str, str]]:
    """Pairs of label and text, for `kmc info`."""
    ended = run.stop_reason or "still being written"
    rows = [("Ended" if run.finished else "Not finished", ended)]
    facts, s = run.facts, run.samples
    nx, ny, nz = run.run["system"]["size"]
    nm = facts["spacing_A"] / 10
    on = facts["surfaces"][0]
    if len(facts["surfaces"]) > 2:
        share = 100 * float(run.constants["substrate"].mean())
        on += f", {share:.3g} % of it {facts['surfaces'][1]}"
    rows.append(("Substrate", f"{on}, {nx * nm:.3g} nm × {ny * nm:.3g} nm, {nz} layers"))
    conditions = run.run["conditions"]
    rows.append(
        (
            "Conditions",
            f"{conditions['temperature_K']:g} K, "
            f"{figure(conditions['current_density_mA_cm2'], 'mA/cm²')}",
        )
    )
    raised = [
        f"{name} {given:g} → {used:.3f} eV"
        for name, given, used in zip(
            facts["surfaces"], facts["barrier_eV"], facts["barrier_used_eV"], strict=True
        )
        if used > given
    ]
    rows.append(("Raised barriers", ", ".join(raised) or "none: rates are true"))
    if not len(s["time_s"]):
        return [*rows, ("Samples", "none yet")]
    last = {name: values[-1] for name, values in s.items()}
    rows.append(
        (
            "Capacity",
            f"{last['capacity_monolayers']:.4g} monolayers, "
            f"{figure(last['capacity_mAh_cm2'], 'mAh/cm²')}",
        )
    )
    rows.append(
        (
            "Deposit",
            f"coverage {100 * last['coverage']:.3g} %, "
            f"{plural(int(last['islands']), 'island')} "
            f"({figure(last['islands_per_um2'], 'per µm²')}), roughness "
            f"{last['roughness_layers']:.3g} layers, highest {last['max_height_layers']:.0f}",
        )
    )
    rows.append(("Dead lithium", f"{last['dead_Li']:.0f} of {last['atoms']:.0f} atoms"))
    efficiency = aurbach_of(run)
    if efficiency is not None:
        rows.append(("Efficiency", f"{100 * efficiency:.3f} % (Aurbach), without side reactions"))
    rows.append(("Events", f"{figure(last['hops'])} hops of {figure(last['attempts'])} attempts"))
    rows.append(("Simulated", duration(float(last["time_s"]))))
    return rows
