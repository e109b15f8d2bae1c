"""`kmc upscale`: runs a population of voids, records it, and goes on with an interrupted one."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from kmc.common.interruption import Interruption
from kmc.common.outputs import check_output
from kmc.common.progress import Progress, progress_for
from kmc.errors import InputError
from kmc.mesoscale import file as schema
from kmc.mesoscale.cross_lines import cut
from kmc.mesoscale.overpotential import Constriction
from kmc.mesoscale.population import Ledger, Population
from kmc.mesoscale.result import PopulationRun, load
from kmc.mesoscale.schedule import Due, Stage, flux_per_um2_s, stages
from kmc.mesoscale.setup import Prepared, prepare
from kmc.mesoscale.voids import Voids
from kmc.model import creep
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.runfile.load import RunFile, restored_run

INTERRUPTED = "interrupted"
NO_CONTACT = "no contact is left"
SPANNED = "a void spans the periodic square; a larger upscale.domain_um goes on"
NO_CELL = "contact is narrower than a cell of the grid; a smaller upscale.grid_um goes on"
_SAVE_EVERY_S = 20.0
_FADED = 0.1  # of contact between two frames, at most but for the spacing of rows
_LEAST_CONTACT = 0.01  # below it the contact is scattered cells of the grid, and no pattern


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
    found = load(path, checkpoint=True)
    if found.finished:
        raise InputError(
            f"{path} is finished: {found.stop_reason}", advice="Nothing is left to do."
        )
    if found.checkpoint is None:
        raise InputError(f"{path} has no checkpoint", advice="Run it again from its beginning.")
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
        self.constriction = Constriction(prepared.setting.edge_um, prepared.setting.n_cells)
        self.rows: list[list[dict[str, float]]] = []  # by replica
        self.tables: dict[str, dict[str, list]] = {
            "frames": {name: [] for name in schema.FRAMES},
            "voids": {name: [] for name in schema.VOIDS},
            "discs": {name: [] for name in schema.DISCS},
        }
        self._population: Population | None = None
        self.at_stage, self.next_row = 0, 0
        self.began_s, self.early = 0.0, 0
        self.reasons: list[str] = []
        self.saved = time.monotonic()

    @property
    def population(self) -> Population:
        """The replica that is running."""
        assert self._population is not None
        return self._population

    # --- the run ----------------------------------------------------------------------------------

    def run(self, bar: Progress, interruption: Interruption) -> None:
        """To the end of the last replica, or until interrupted; writes the file."""
        replicas = self.run_file.upscale.replicas
        while len(self.reasons) < replicas:
            if self._population is None:
                self._begin(len(self.reasons))
            reason = self._replica(bar, interruption)
            if reason == INTERRUPTED:
                self._write(False, INTERRUPTED, self._checkpoint())
                return
            self.reasons.append(reason)
            self._population = None
        self._write(True, "; ".join(dict.fromkeys(self.reasons)), None)

    def _begin(self, replica: int) -> None:
        seeds = np.random.SeedSequence(self.run_file.random.seed).spawn(replica + 1)
        self._population = Population(self.prepared.setting, np.random.default_rng(seeds[replica]))
        self.rows.append([])
        self.early = 0
        self._enter(0)

    def _enter(self, number: int) -> None:
        """Begin a stage: its current and its pressure."""
        self.at_stage, self.next_row, self.began_s = number, 0, self.population.time_s
        stage = self.stage
        flux = flux_per_um2_s(stage.current_density_mA_cm2)
        if number or flux != self.population.flux_per_um2_s:
            self.population.switch(flux)
        self.population.closure = self.prepared.closure_at(stage.stack_pressure_MPa)

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
                self.early += reason in (NO_CONTACT, NO_CELL, SPANNED)
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
        population, stage = self.population, self.stage
        while self.next_row < len(stage.due):
            due = stage.due[self.next_row]
            end_s = self.began_s + due.time_s
            while population.time_s < end_s * (1 - 1e-12):
                alive = population.step(end_s)
                ended = self._ended(alive)
                if ended:
                    self._record(Due(population.time_s, True))
                    return ended, False
                self._tell(bar)
                if interruption.requested:
                    return INTERRUPTED, False
                if time.monotonic() - self.saved > _SAVE_EVERY_S:
                    self._write(False, "", self._checkpoint())
            self._record(due)
            self.next_row += 1
            if self._voltage_reached():
                return "overpotential_V", False
        return stage.reason, True

    def _ended(self, alive: bool) -> str:
        """Why the current ends here; empty while it flows."""
        population, stage = self.population, self.stage
        if stage.rests:
            return ""
        contact, least = population.contact_fraction, stage.contact_fraction
        if least is not None and (contact - least) * stage.current_density_mA_cm2 <= 0:
            return "contact_fraction"
        if stage.current_density_mA_cm2 < 0:
            return ""
        if population.voids.span_the_square:
            return SPANNED
        if contact < _LEAST_CONTACT:
            return NO_CONTACT
        return "" if alive else NO_CELL

    def _voltage_reached(self) -> bool:
        most, current = self.stage.overpotential_V, self.stage.current_density_mA_cm2
        return most is not None and self.rows[-1][-1]["overpotential_V"] * np.sign(current) >= most

    def _tell(self, bar: Progress) -> None:
        population, stage = self.population, self.stage
        done = (population.time_s - self.began_s) / stage.due[-1].time_s
        done = (self.at_stage + done) / len(self.stages)
        share = (len(self.reasons) + done) / self.run_file.upscale.replicas
        charge = self._capacity()
        bar.update(
            0.05 + 0.95 * share,
            f"{charge:.3g} mAh/cm²  {len(population.voids)} voids  "
            f"contact {population.contact_fraction:.3f}",
        )

    # --- records ----------------------------------------------------------------------------------

    def _capacity(self) -> float:
        ledger = self.population.ledger
        return capacity_mAh_cm2(ledger.stripped - ledger.plated, 1e8)

    def _record(self, due: Due) -> None:
        self.rows[-1].append(self._row())
        if due.frame or self._faded():
            self._frame()

    def _faded(self) -> bool:
        """Whether a tenth of the contact has gone since the last frame of this replica."""
        frames = self.tables["frames"]
        if not frames["replica"] or frames["replica"][-1][-1] != len(self.reasons):
            return False
        then = self.rows[-1][int(frames["sample"][-1][-1])]["contact_fraction"]
        return then - self.rows[-1][-1]["contact_fraction"] >= _FADED

    def _row(self) -> dict[str, float]:
        population, setting, stage = self.population, self.prepared.setting, self.stage
        voids, ledger = population.voids, population.ledger
        cuts = cut(voids)
        contact = population.contact_fraction
        free, mean_S = population.free, population.S_contact
        length = self.constriction.length_um(free) if population.flows else 0.0
        current = stage.current_density_mA_cm2
        terms = self.prepared.kinetics.terms(mean_S, contact, length, current)
        stress = 0.0
        if stage.stack_pressure_MPa > 0:
            limit = self.prepared.parameters.value("creep_stress_limit_MPa")
            stress = creep.local_stress_MPa(stage.stack_pressure_MPa, contact, limit)
        height = setting.medium.site_volume_um3  # µm of height for a vacancy per µm²
        area = population.area_um2
        radius = setting.shape.radius_um(voids.counts * height)
        wide, high = cuts.width_um, cuts.height_um
        return {
            "time_s": population.time_s,
            "capacity_mAh_cm2": self._capacity(),
            "phase": float(stage.rests),
            "step": float(stage.number),
            "cycle": float(stage.cycle),
            "current_density_mA_cm2": current,
            "contact_fraction": contact,
            "voids_per_um2": len(voids) / area,
            "voids_per_100um": cuts.per_100um,
            "mean_width_um": cuts.mean_width_um,
            "max_width_um": float(wide.max()) if len(wide) else math.nan,
            "mean_height_um": cuts.mean_height_um,
            "max_height_um": float(high.max()) if len(high) else math.nan,
            "mean_radius_um": float(radius.mean()) if len(voids) else math.nan,
            "supersaturation": mean_S,
            "max_supersaturation": float(population.surface[free > 0].max(initial=mean_S)),
            "overpotential_V": terms.total_V,
            "concentration_V": terms.concentration_V,
            "charge_transfer_V": terms.charge_transfer_V,
            "constriction_V": terms.constriction_V,
            "series_V": terms.series_V,
            "stress_MPa": stress,
            "stripped_um": ledger.stripped * height,
            "initial_um": ledger.initial * height,
            "voids_um": population.in_voids_per_um2 * height,
            "sink_um": ledger.sink * height,
            "creep_um": ledger.creep * height,
            "storage_um": population.mean.stored_per_um2 * height,
            "plated_um": ledger.plated * height,
            "filled_um": ledger.filled * height,
            "pushed_back_um": ledger.grown * height,
            "dead_um": ledger.dead * height,
            "rim_per_um": float(voids.rim_um.sum()) / area,
            "nucleated_per_um2": ledger.born / area,
            "met_per_um2": ledger.met / area,
            "dissolved_per_um2": ledger.dissolved / area,
            "closed_per_um2": ledger.closed / area,
        }

    def _frame(self) -> None:
        population, voids = self.population, self.population.voids
        n = sum(len(part) for part in self.tables["frames"]["time_s"])
        height = self.prepared.setting.medium.site_volume_um3
        x, y = voids.centres()
        lx, ly = voids.wrapped()
        frame = {
            "time_s": [population.time_s],
            "capacity_mAh_cm2": [self._capacity()],
            "sample": [len(self.rows[-1]) - 1],
            "replica": [len(self.reasons)],
        }
        listed = {
            "frame": np.full(len(voids), n),
            "number": voids.number,
            "x_um": x,
            "y_um": y,
            "volume_um3": voids.counts * height,
            "footprint_um2": voids.area_um2,
        }
        lobes = {
            "frame": np.full(voids.lobes, n),
            "void": voids.number[voids.owner],
            "x_um": lx,
            "y_um": ly,
            "radius_um": voids.radius_um,
            "volume_um3": voids.count * height,
        }
        for group, columns in (("frames", frame), ("voids", listed), ("discs", lobes)):
            for name, values in columns.items():
                self.tables[group][name].append(np.array(values))

    # --- the file ---------------------------------------------------------------------------------

    def _write(self, finished: bool, stop_reason: str, checkpoint: dict[str, Any] | None) -> None:
        columns = {
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
            **columns,
            checkpoint=checkpoint,
        )
        self.saved = time.monotonic()

    def _checkpoint(self) -> dict[str, Any]:
        p = self.population
        state = {
            "rng": p.rng.bit_generator.state,
            "ledger": vars(p.ledger),
            "reasons": self.reasons,
            "stage": self.at_stage,
            "next_row": self.next_row,
            "early": self.early,
            "named": p.voids.named,
        }
        clock = np.array([p.time_s, p.switched_s, p.dt_s, self.began_s, p.at_switch, p.S_contact])
        return {
            "state": json.dumps(state),
            "clock": clock,
            "mean": p.mean.excess,
            "cell_flux": p._cell_flux,
            "point_number": p._point_flux[0],
            "point_flux": p._point_flux[1],
            "surface": p.surface,
            "free": p.free,
            **{f"voids_{name}": values for name, values in p.voids.arrays().items()},
        }

    def restore(self, found: PopulationRun) -> None:
        """Take up the state of a file's checkpoint."""
        stored = found.checkpoint
        assert stored is not None
        state = json.loads(stored["state"].tobytes().decode("utf-8"))
        if "stage" not in state:
            raise InputError(
                f"{found.path} was begun by kmc {found.kmc_version}, whose checkpoints this "
                "version cannot continue",
                advice="Run it again from its beginning, or go on with that version.",
            )
        for i in range(len(found.replicas)):
            columns = found.replicas[i]
            n = len(columns["time_s"])
            self.rows.append([{k: float(v[row]) for k, v in columns.items()} for row in range(n)])
        for group, table in (
            ("frames", found.frames),
            ("voids", found.voids),
            ("discs", found.discs),
        ):
            for name in self.tables[group]:
                if len(table[name]):
                    self.tables[group][name].append(table[name])
        self.reasons, self.next_row = list(state["reasons"]), int(state["next_row"])
        setting = self.prepared.setting
        p = Population(setting, np.random.default_rng(0))
        p.rng.bit_generator.state = state["rng"]
        p.ledger = Ledger(**state["ledger"])
        clock = (float(value) for value in stored["clock"])
        p.time_s, p.switched_s, p.dt_s, self.began_s, p.at_switch, *mean_S = clock
        self.at_stage, self.early = int(state["stage"]), int(state["early"])
        p.flux_per_um2_s = flux_per_um2_s(self.stage.current_density_mA_cm2)
        p.closure = self.prepared.closure_at(self.stage.stack_pressure_MPa)
        p.mean.excess = stored["mean"]
        p._cell_flux = stored["cell_flux"]
        p._point_flux = (stored["point_number"], stored["point_flux"])
        p.surface = stored["surface"]
        if "free" in stored:
            p.free, p.S_contact = stored["free"], mean_S[0]
        else:  # of an earlier kmc: cells wholly on contact, or not at all
            p.free = stored["on_contact"].astype(float)
            p.S_contact = float(p.surface[p.free > 0].mean()) if p.free.any() else 1.0
        names = ("x_um", "y_um", "count", "scale", "floor_um", "owner", "number", "age")
        p.voids = Voids(
            setting.edge_um,
            setting.medium.site_volume_um3,
            setting.shape,
            **{name: stored[f"voids_{name}"] for name in names},
            named=int(state["named"]),
        )
        self._population = p
