"""`kmc upscale`: runs a population of voids, records it, and goes on with an interrupted one."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.interruption import Interruption
from kmc.common.outputs import check_output
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.population import file as schema
from kmc.population.cuts import cut
from kmc.population.gaps import Gaps
from kmc.population.life import KINDS, Life
from kmc.population.result import PopulationRun, load
from kmc.population.schedule import Due, Stage, flux_per_um2_s, stages
from kmc.population.setup import Prepared, prepare
from kmc.population.voltage import Constriction
from kmc.runfile.load import RunFile, restored_run

INTERRUPTED = "interrupted"
NO_CONTACT = "no contact is left"
_SAVE_EVERY_S = 20.0
_SAVE_SHARE = 0.05  # of the time, at most, goes into writing an unfinished file
_LOST = 0.1  # of contact between two frames, at most but for the spacing of rows
_LEAST_CONTACT = 0.01  # below it the contact is scattered cells of the grid, and no pattern
_FOLLOWED = 4  # steps from one comparison of the gaps with those before to the next
_LEAST_CELLS = 4  # area of a part that counts as a void of its own, in cells, at least


def run_to_file(
    run: RunFile,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: bool | Progress = True,
) -> PopulationRun:
    """Run a checked run file; Ctrl-C leaves a file from which `resume` goes on."""
    path = Path(output)
    check_output(path, overwrite)
    bar = progress_for(run.name, progress)
    with Interruption() as interruption, bar:
        bar.update(0.0, "free energies of clusters")
        job = _Job(path, prepare(run, _Part(bar, 0.0, 0.05)))
        job.run(bar, interruption)
    return load(path)


def resume(path: str | Path, *, progress: bool | Progress = True) -> PopulationRun:
    """Go on with an interrupted run, in place; the file becomes that of an undisturbed one.

    Raises
    ------
    InputError
        The run is finished, or the file holds nothing to go on from.
    """
    path = Path(path)
    found = load(path)
    if found.finished:
        raise InputError(
            f"{path} is finished: {found.stop_reason}", advice="Nothing is left to do."
        )
    if found.checkpoint is None:
        raise InputError(
            f"{path} keeps no checkpoint from which this version could go on",
            advice=f"Go on with kmc {found.kmc_version}, which wrote it, or run it again.",
        )
    run = restored_run(found.resolved["run"], path, found.run_file)
    run._name = found.resolved["name"]  # of the run file, not of this one
    bar = progress_for(run.name, progress)
    with Interruption() as interruption, bar:
        bar.update(0.0, "free energies of clusters")
        job = _Job(path, prepare(run, _Part(bar, 0.0, 0.05)))
        job.restore(found)
        job.run(bar, interruption)
    return load(path)


class _Part:
    """A share of a progress bar."""

    def __init__(self, bar: Progress, low: float, high: float):
        self.bar, self.low, self.high = bar, low, high

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def update(self, fraction: float, text: str) -> None:
        self.bar.update(self.low + (self.high - self.low) * fraction, text)


class _Job:
    """All replicas of a run, and what has been recorded of them."""

    def __init__(self, path: Path, prepared: Prepared):
        self.path, self.prepared, self.run_file = path, prepared, prepared.run
        self.stages = stages(prepared.run, prepared.monolayer_mAh_cm2)
        setting = prepared.setting
        self.constriction = Constriction(setting.edge_um, setting.n_cells)
        self.rows: list[list[dict[str, float]]] = []  # by replica
        self.tables: dict[str, dict[str, list]] = {
            name: {column: [] for column in table} for name, table in schema.TABLES.items()
        }
        self._gaps: Gaps | None = None
        self._life: Life | None = None
        self.at_stage, self.next_row = 0, 0
        self.began_s, self.early = 0.0, 0
        self.reasons: list[str] = []
        self.saved, self.save_every_s = time.monotonic(), _SAVE_EVERY_S

    @property
    def gaps(self) -> Gaps:
        """The replica that is running."""
        assert self._gaps is not None
        return self._gaps

    @property
    def life(self) -> Life:
        assert self._life is not None
        return self._life

    def _new_life(self) -> Life:
        setting, resolution = self.prepared.setting, self.run_file.upscale.resolution_um
        cell = setting.edge_um / setting.n_cells
        least_um2 = max(_LEAST_CELLS * cell**2, math.pi / 4 * resolution**2)
        return Life(setting.edge_um, setting.n_cells, least_um2)

    # --- the run ----------------------------------------------------------------------------------

    def run(self, bar: Progress, interruption: Interruption) -> None:
        """To the end of the last replica, or until interrupted; writes the file."""
        replicas = self.run_file.upscale.replicas
        while len(self.reasons) < replicas:
            if self._gaps is None:
                self._begin(len(self.reasons))
            reason = self._replica(bar, interruption)
            if reason == INTERRUPTED:
                self._write(False, INTERRUPTED, self._checkpoint())
                return
            self.reasons.append(reason)
            self._gaps = self._life = None
        self._write(True, "; ".join(dict.fromkeys(self.reasons)), None)

    def _begin(self, replica: int) -> None:
        seeds = np.random.SeedSequence(self.run_file.random.seed).spawn(replica + 1)
        self._gaps = Gaps(self.prepared.setting, np.random.default_rng(seeds[replica]))
        self._life = self._new_life()
        self.rows.append([])
        self.early = 0
        self._enter(0)

    def _enter(self, number: int) -> None:
        """Begin a stage: its current and its pressure."""
        self.at_stage, self.next_row, self.began_s = number, 0, self.gaps.time_s
        stage = self.stage
        flux = flux_per_um2_s(stage.current_density_mA_cm2)
        now = (self.gaps.flux_per_um2_s, self.gaps.pressure_MPa)
        if number or now != (flux, stage.stack_pressure_MPa):
            self.gaps.switch(flux, stage.stack_pressure_MPa)

    @property
    def stage(self) -> Stage:
        return self.stages[self.at_stage]

    def _replica(self, bar: Progress, interruption: Interruption) -> str:
        """All stages of a replica; returns why it ended."""
        while True:
            reason, complete = self._run_stage(bar, interruption)
            if reason == INTERRUPTED:
                return reason
            if not complete:
                self.early += reason == NO_CONTACT
                if self.stage.ends_run:
                    return reason
            if self.at_stage + 1 == len(self.stages):
                return self._ending(reason)
            self._enter(self.at_stage + 1)

    def _ending(self, reason: str) -> str:
        if not self.run_file.has_protocol:
            return reason
        text = f"all {len(self.stages)} steps of the protocol are done"
        return f"{text}; {self.early} ended early as contact was lost" if self.early else text

    def _run_stage(self, bar: Progress, interruption: Interruption) -> tuple[str, bool]:
        """To the end of a stage: why it ended, and whether with its last row."""
        gaps, stage = self.gaps, self.stage
        while self.next_row < len(stage.due):
            due = stage.due[self.next_row]
            end_s = self.began_s + due.time_s
            while gaps.time_s < end_s * (1 - 1e-12):
                alive = gaps.step(end_s)
                if gaps.ledger.steps % _FOLLOWED == 0:
                    self._follow()
                ended = self._ended(alive)
                if ended:
                    self._record(Due(gaps.time_s, True))
                    return ended, False
                self._tell(bar)
                if interruption.requested:
                    return INTERRUPTED, False
                if time.monotonic() - self.saved > self.save_every_s:
                    self._write(False, "", self._checkpoint())
            self._record(due)
            self.next_row += 1
            if self._voltage_reached():
                return "overpotential_V", False
        return stage.reason, True

    def _ended(self, alive: bool) -> str:
        """Why the current ends here; empty while it flows."""
        gaps, stage = self.gaps, self.stage
        if stage.rests:
            return ""
        contact, least = gaps.contact_fraction, stage.contact_fraction
        if least is not None and (contact - least) * stage.current_density_mA_cm2 <= 0:
            return "contact_fraction"
        if stage.current_density_mA_cm2 < 0:
            return ""
        return NO_CONTACT if contact < _LEAST_CONTACT or not alive else ""

    def _voltage_reached(self) -> bool:
        most, current = self.stage.overpotential_V, self.stage.current_density_mA_cm2
        return most is not None and self.rows[-1][-1]["overpotential_V"] * np.sign(current) >= most

    def _tell(self, bar: Progress) -> None:
        gaps, stage = self.gaps, self.stage
        done = (gaps.time_s - self.began_s) / stage.due[-1].time_s
        done = (self.at_stage + done) / len(self.stages)
        share = (len(self.reasons) + done) / self.run_file.upscale.replicas
        charge = self._capacity()
        bar.update(
            0.05 + 0.95 * share,
            f"{charge:.3g} mAh/cm²  {len(self.life.voids) + len(gaps.points)} voids  "
            f"contact {gaps.contact_fraction:.3f}",
        )

    # --- records ----------------------------------------------------------------------------------

    def _capacity(self) -> float:
        ledger = self.gaps.ledger
        return capacity_mAh_cm2(ledger.stripped - ledger.plated, 1e8)

    def _follow(self) -> None:
        """List what the gaps on the grid have done since the last time."""
        for kind, void, other, area, volume, height in self.life.follow(self.gaps.h_um):
            found = (len(self.reasons), self.gaps.time_s, self._capacity(), kind, void, other)
            for name, value in zip(schema.EVENTS, (*found, area, volume, height), strict=True):
                self.tables["events"][name].append(np.array([value]))

    def _record(self, due: Due) -> None:
        self._follow()
        self.rows[-1].append(self._row())
        if due.frame or self._lost():
            self._frame()

    def _lost(self) -> bool:
        """Whether a tenth of the contact has gone since the last frame of this replica."""
        frames = self.tables["frames"]
        if not frames["replica"] or frames["replica"][-1][-1] != len(self.reasons):
            return False
        then = self.rows[-1][int(frames["sample"][-1][-1])]["contact_fraction"]
        return then - self.rows[-1][-1]["contact_fraction"] >= _LOST

    def _row(self) -> dict[str, float]:
        gaps, setting, stage = self.gaps, self.prepared.setting, self.stage
        ledger, contact = gaps.ledger, gaps.contact_fraction
        edge, area, height = setting.edge_um, setting.edge_um**2, setting.medium.site_volume_um3
        seen = cut(
            gaps.h_um,
            edge,
            self.run_file.upscale.resolution_um,
            cover=gaps.cover,
            point_radius_um=gaps.point_radius_um,
            point_height_um=2 * gaps.points.volume_um3 / gaps.point_area_um2,  # of a paraboloid
        )
        current, S = stage.current_density_mA_cm2, gaps.S_contact
        length = self.constriction.length_um(1 - gaps.cover) if current else 0.0
        terms = self.prepared.kinetics.terms(S, contact, length, current)
        events = dict(zip(KINDS, self.life.counts.tolist(), strict=True))
        row = {
            "time_s": gaps.time_s,
            "capacity_mAh_cm2": self._capacity(),
            "phase": float(stage.rests),
            "step": float(stage.number),
            "cycle": float(stage.cycle),
            "current_density_mA_cm2": current,
            "contact_fraction": contact,
            "voids_per_um2": (len(self.life.voids) + len(gaps.points)) / area,
            "voids_per_100um": seen.per_100um,
            "mean_width_um": seen.mean_width_um,
            "max_width_um": seen.max_width_um,
            "mean_height_um": seen.mean_height_um,
            "max_height_um": seen.max_height_um,
            "supersaturation": S,
            "max_supersaturation": gaps.max_supersaturation,
            "overpotential_V": terms.total_V,
            "concentration_V": terms.concentration_V,
            "charge_transfer_V": terms.charge_transfer_V,
            "constriction_V": terms.constriction_V,
            "series_V": terms.series_V,
            "stress_MPa": setting.pressure_share
            * stage.stack_pressure_MPa
            / max(contact, _LEAST_CONTACT),
            "stripped_um": ledger.stripped * height,
            "initial_um": ledger.initial * height,
            "voids_um": gaps.gaps_um,
            "settled_um": ledger.settled * height,
            "sink_um": ledger.sink * height,
            "storage_um": gaps.mean.stored_per_um2 * height,
            "annihilated_fraction": 0.0,
            "roof_velocity_um_s": gaps.roof_velocity_um_s,
            "plated_um": ledger.plated * height,
            "filled_um": ledger.filled * height,
            "pushed_back_um": ledger.grown * height,
            "dead_um": ledger.dead * height,
            "nucleated_per_um2": ledger.nucleated / area,
            "dissolved_per_um2": ledger.dissolved / area,
            "splits": float(events["splits"]),
            "collapses": float(events["collapses"]),
            "coalescences": float(events["coalesces"]),
            "regained_fraction": self.life.regained_um2 / area,
        }
        before = self.rows[-1][-1] if self.rows[-1] else dict.fromkeys(row, 0.0)
        made = row["stripped_um"] - before["stripped_um"]
        ended = sum(row[name] - before[name] for name in ("settled_um", "sink_um"))
        row["annihilated_fraction"] = ended / made if made > 0 else math.nan
        return row

    def _frame(self) -> None:
        gaps, frames = self.gaps, self.tables["frames"]
        points = gaps.points
        frame = {
            "time_s": [gaps.time_s],
            "capacity_mAh_cm2": [self._capacity()],
            "sample": [len(self.rows[-1]) - 1],
            "replica": [len(self.reasons)],
            "h_um": gaps.h_um[None].astype(np.float32),
        }
        listed = {
            "frame": np.full(len(points), sum(len(part) for part in frames["time_s"])),
            "x_um": points.x_um,
            "y_um": points.y_um,
            "radius_um": gaps.point_radius_um,
            "volume_um3": points.volume_um3,
        }
        for group, columns in (("frames", frame), ("points", listed)):
            for name, values in columns.items():
                self.tables[group][name].append(np.array(values))

    # --- the file ---------------------------------------------------------------------------------

    def _write(self, finished: bool, stop_reason: str, checkpoint: dict[str, Any] | None) -> None:
        began = time.monotonic()
        tables = {
            group: {
                name: np.concatenate(parts) if parts else np.zeros(0)
                for name, parts in table.items()
            }
            for group, table in self.tables.items()
        }
        replicas = [
            {name: np.array([row[name] for row in rows], dtype=float) for name in schema.SAMPLES}
            for rows in self.rows
        ]
        head = {
            "run_file": self.run_file.text,
            "resolved": {
                "run": self.run_file.resolved(),
                "name": self.run_file.name,
                "parameter_set": self.prepared.parameters.name,
                "metal": self.prepared.parameters.metal,
                "parameters": self.prepared.parameters.resolved(),
                "species": list(self.prepared.parameters.species),
                "facts": self.prepared.facts(),
            },
            "seed": self.run_file.random.seed,
        }
        schema.write(
            self.path,
            head=head,
            finished=finished,
            stop_reason=stop_reason,
            replicas=replicas,
            tables=tables,
            checkpoint=checkpoint,
        )
        self.saved = time.monotonic()
        self.save_every_s = max(_SAVE_EVERY_S, (self.saved - began) / _SAVE_SHARE)

    def _checkpoint(self) -> dict[str, Any]:
        state = {
            "rng": self.gaps.rng.bit_generator.state,
            "reasons": self.reasons,
            "stage": self.at_stage,
            "next_row": self.next_row,
            "early": self.early,
            "began_s": self.began_s.hex(),
        }
        return {
            "state": json.dumps(state),
            **{f"gaps_{name}": values for name, values in self.gaps.arrays().items()},
            **{f"life_{name}": values for name, values in self.life.arrays().items()},
        }

    def restore(self, found: PopulationRun) -> None:
        """Take up the state of a file's checkpoint."""
        stored = found.checkpoint
        assert stored is not None
        state = json.loads(stored["state"])
        for columns in found.replicas:
            n = len(columns["time_s"])
            self.rows.append(
                [{k: float(columns[k][row]) for k in schema.SAMPLES} for row in range(n)]
            )
        for group, table in self.tables.items():
            for name in table:
                values = getattr(found, group)[name]
                if len(values):
                    table[name].append(values)
        self.reasons, self.next_row = list(state["reasons"]), int(state["next_row"])
        self.at_stage, self.early = int(state["stage"]), int(state["early"])
        self.began_s = float.fromhex(state["began_s"])
        self._gaps = Gaps(self.prepared.setting, np.random.default_rng(0))
        self._gaps.rng.bit_generator.state = state["rng"]
        self._gaps.restore(_part(stored, "gaps_"))
        self._life = self._new_life()
        self._life.restore(_part(stored, "life_"))


def _part(stored: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): v for name, v in stored.items() if name.startswith(prefix)}
