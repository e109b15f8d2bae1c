"""A population of voids as a job: its replicas, one after the other, stage by stage."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kmc.common.formatting import plural
from kmc.common.progress import Progress, Share
from kmc.model.electrochemistry import capacity_mAh_cm2
from kmc.runfile.run_file import RunFile
from kmc.systems.job import Ended, Frame, Item, Job, Listed, NextReplica, Row
from kmc.systems.population.columns import CELLS
from kmc.systems.population.cuts import cut
from kmc.systems.population.gaps import Gaps
from kmc.systems.population.life import KINDS, Life
from kmc.systems.population.schedule import Due, Stage, flux_per_um2_s, stages
from kmc.systems.population.setup import Prepared, prepare
from kmc.systems.population.voltage import Constriction

NO_CONTACT = "no contact is left"
PLATED_BACK = "what was stripped is plated"
_S_PER_H = 3600.0
_LOST = 0.1  # of contact between two frames, at most but for the spacing of rows
_MIN_CONTACT = 0.01  # below it the contact is scattered cells of the grid, and no pattern
_FOLLOWED = 4  # steps from one comparison of the gaps with those before to the next
_MIN_CELLS = 4  # area of a part that counts as a void of its own, in cells, at least
_WALKS = 0.05  # share of the progress bar for the free energies of clusters
_EVENT = ("replica", "time_s", "capacity_mAh_cm2", "kind", "void", "other")
_SIZES = ("area_um2", "volume_um3", "height_um")
# Columns with the names of entries of the ledger.
_BOOKED = ("stripped", "initial", "settled", "sink", "plated", "filled", "dead")


def population(run: RunFile, bar: Progress) -> "PopulationJob":
    """The job of a checked run file; the free energies of its clusters are computed first."""
    bar.update(0.0, "free energies of clusters")
    return PopulationJob(prepare(run, Share(bar, 0.0, _WALKS)))


class PopulationJob(Job):
    """All replicas of a run.

    - `stages` (list of Stage): steps of the protocol, or the current and the rest of a run without
      one.
    - `gaps`: the replica that is running.
    - `life`: its voids on the grid, and what became of them.
    - `reasons` (list of str): why each replica ended that is done.
    """

    gaps: Gaps
    life: Life

    def __init__(self, prepared: Prepared):
        super().__init__()
        self.prepared, self.run_file = prepared, prepared.run
        self.stages = stages(prepared.run, prepared.facts["monolayer_mAh_cm2"])
        setting, parameters = prepared.setting, prepared.parameters
        self.constriction = Constriction(setting.edge_um, setting.n_cells)
        self.facts, self.parameters = prepared.facts, parameters.resolved()
        self.constants = dict.fromkeys(CELLS, (np.arange(setting.n_cells) + 0.5) * setting.pitch_um)
        self.resolved = {
            "parameter_set": parameters.name,
            "metal": parameters.metal,
            "species": list(parameters.species),
        }
        self.reasons: list[str] = []
        self.at_stage = self.next_row = self.early = 0
        self.began_s = 0.0
        self.owed: float | None = None  # mAh/cm² of a strip that ended early, not yet plated
        self._last: dict[str, float] = {}  # row of this replica
        self._framed: float | None = None  # contact at its last frame

    # --- the run ----------------------------------------------------------------------------------

    def advance(self) -> Iterator[Item]:
        """A step of the gaps, or the row that is due."""
        if not hasattr(self, "gaps"):
            self._begin()
        gaps, stage = self.gaps, self.stage
        due = stage.due[self.next_row]
        end_s = self.began_s + due.time_s
        current = stage.current_density_mA_cm2
        # A plate step ends where it has given back what a strip that ended early took, as it would
        # otherwise build up metal with each cycle.
        back_s = math.inf
        if current < 0 and self.owed is not None and self.run_file.upscale.contact_lost != "go_on":
            back_s = self.began_s - self.owed * _S_PER_H / current
        # A step ends at the row that is due, but for the rounding of the sum of the steps.
        if gaps.time_s < min(end_s, back_s) * (1 - 1e-12):
            goes_on = gaps.step(min(end_s, back_s))
            # Labelling all parts of the grid is not cheap; voids take many steps to split or meet.
            if gaps.ledger.steps % _FOLLOWED == 0:
                yield from self._follow()
            ended = self._ended(goes_on)
            if ended:
                yield from self._record(Due(gaps.time_s, True))
                yield from self._leave(ended, False)
            return
        if back_s < end_s * (1 - 1e-12):
            yield from self._record(Due(gaps.time_s, True))
            yield from self._leave(PLATED_BACK, False)
            return
        yield from self._record(due)
        self.next_row += 1
        most = stage.overpotential_V
        if most is not None and self._last["overpotential_V"] * np.sign(current) >= most:
            yield from self._leave("overpotential_V", False)
        elif self.next_row == len(stage.due):
            yield from self._leave(stage.reason, True)

    def _begin(self) -> None:
        """Begin a replica; each has a stream of random numbers of its own."""
        self._new()
        self._last, self._framed, self.early, self.owed = {}, None, 0, None
        self._enter(0)

    def _new(self) -> None:
        # By number and not in turn: more replicas leave those before them as they are.
        seeds = np.random.SeedSequence(self.run_file.random.seed).spawn(len(self.reasons) + 1)
        rng = np.random.default_rng(seeds[-1])
        setting, resolution = self.prepared.setting, self.run_file.upscale.resolution_um
        cell = setting.edge_um / setting.n_cells
        # A part below the resolution of the microscope, or of the grid, is not a void that split
        # off.
        least_um2 = max(_MIN_CELLS * cell**2, math.pi / 4 * resolution**2)
        self.gaps = Gaps(setting, rng)
        self.life = Life(setting.edge_um, setting.n_cells, least_um2)

    def _enter(self, number: int) -> None:
        """Begin a stage: its current and its pressure."""
        self.at_stage, self.next_row, self.began_s = number, 0, self.gaps.time_s
        stage = self.stage
        flux = flux_per_um2_s(stage.current_density_mA_cm2, self.prepared.parameters.valence)
        now = (self.gaps.flux_per_um2_s, self.gaps.pressure_MPa)
        # A new replica has the conditions of the first stage; a switch would shorten its step.
        if number or now != (flux, stage.stack_pressure_MPa):
            self.gaps.switch(flux, stage.stack_pressure_MPa)
        if number and flux > 0:
            self.gaps.reopen()

    def _leave(self, reason: str, complete: bool) -> Iterator[Item]:
        """End a stage, with its last row or before: go on with the next one, or replica."""
        stage, lost = self.stage, reason == NO_CONTACT and not complete
        self.early += lost
        if lost and not stage.ends_run and self.run_file.upscale.contact_lost == "end":
            asked = stage.due[-1].time_s * stage.current_density_mA_cm2 / _S_PER_H
            reason = (
                f"{NO_CONTACT} in step {stage.number} of {len(self.stages)}, cycle {stage.cycle}: "
                f"stripped {self._charge():.3g} of the {asked:.3g} mAh/cm² asked for"
            )
        elif complete or not stage.ends_run:
            # What later plate steps may give back, after lost contact.
            if stage.current_density_mA_cm2 > 0:
                self.owed = self._charge() if reason == NO_CONTACT else None
            elif self.owed is not None:
                self.owed = max(self.owed + self._charge(), 0.0)
            if self.at_stage + 1 < len(self.stages):
                self._enter(self.at_stage + 1)
                return
            if self.run_file.has_protocol:
                early = f"; {self.early} ended early as contact was lost" if self.early else ""
                reason = f"all {len(self.stages)} steps of the protocol are done{early}"
        self.reasons.append(reason)
        if len(self.reasons) == self.run_file.upscale.replicas:
            yield Ended("; ".join(dict.fromkeys(self.reasons)))
        else:
            yield NextReplica()
            self._begin()

    def _charge(self) -> float:
        """Charge of this stage so far, mAh/cm²; of plating below 0."""
        per_s = self.stage.current_density_mA_cm2 / _S_PER_H
        return (self.gaps.time_s - self.began_s) * per_s

    @property
    def stage(self) -> Stage:
        return self.stages[self.at_stage]

    def _ended(self, goes_on: bool) -> str:
        """Why the current ends here; empty while it flows."""
        gaps, stage = self.gaps, self.stage
        if stage.rests:
            return ""
        contact, least = gaps.contact_fraction, stage.contact_fraction
        if least is not None and (contact - least) * stage.current_density_mA_cm2 <= 0:
            return "contact_fraction"
        if stage.current_density_mA_cm2 < 0:
            return ""  # ions fill the gaps whatever the contact
        return NO_CONTACT if contact < _MIN_CONTACT or not goes_on else ""

    def progress(self) -> tuple[float, str]:
        gaps, stage = self.gaps, self.stage
        done = (gaps.time_s - self.began_s) / stage.due[-1].time_s
        done = (self.at_stage + done) / len(self.stages)
        share = (len(self.reasons) + done) / self.run_file.upscale.replicas
        voids = plural(self._number_of_voids(), "void")
        return (
            _WALKS + (1 - _WALKS) * share,
            f"{self._capacity():.3g} mAh/cm²  {voids}  contact {gaps.contact_fraction:.3f}",
        )

    # --- records ----------------------------------------------------------------------------------

    def _capacity(self) -> float:
        ledger, valence = self.gaps.ledger, self.prepared.parameters.valence
        return capacity_mAh_cm2(ledger.stripped - ledger.plated, 1e8, valence)

    def _follow(self) -> Iterator[Item]:
        """What the gaps on the grid have done since the last time."""
        now = (len(self.reasons), self.gaps.time_s, self._capacity())
        for found in self.life.follow(self.gaps.h_um, self.gaps.parts):
            values = zip((*_EVENT, *_SIZES), (*now, *found), strict=True)
            yield Listed("events", {name: [value] for name, value in values})

    def _record(self, due: Due) -> Iterator[Item]:
        yield from self._follow()
        self._last = self._row()
        yield Row(self._last)
        contact = self._last["contact_fraction"]
        # Frames follow the loss of contact too, which may be over between two that are planned.
        if due.frame or (self._framed is not None and self._framed - contact >= _LOST):
            self._framed = contact
            yield self._frame()

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
        # Without current nothing drops in the electrolyte, and its field need not be solved.
        current, S = stage.current_density_mA_cm2, gaps.S_contact
        length = self.constriction.length_um(1 - gaps.cover) if current else 0.0
        terms = self.prepared.kinetics.terms(S, contact, length, current)
        events = dict(zip(KINDS, map(float, self.life.counts), strict=True))
        row = {
            **seen,
            **terms,
            **{f"{name}_um": getattr(ledger, name) * height for name in _BOOKED},
            "time_s": gaps.time_s,
            "capacity_mAh_cm2": self._capacity(),
            "phase": float(stage.rests),
            "step": float(stage.number),
            "cycle": float(stage.cycle),
            "current_density_mA_cm2": current,
            "contact_fraction": contact,
            "voids_per_um2": self._number_of_voids() / area,
            "supersaturation": S,
            "max_supersaturation": gaps.max_supersaturation,
            "stack_pressure_MPa": gaps.stack_pressure_MPa,
            "stress_MPa": setting.pressure_share
            * gaps.stack_pressure_MPa
            / max(contact, _MIN_CONTACT),
            "voids_um": gaps.gaps_um,
            "storage_um": gaps.mean.stored_per_um2 * height,
            "annihilated_fraction": 0.0,
            "roof_velocity_um_s": gaps.roof_velocity_um_s,
            "raised_rim_fraction": gaps.raised_rim_fraction,
            "pushed_back_um": ledger.grown * height,
            "nucleated_per_um2": ledger.nucleated / area,
            "dissolved_per_um2": ledger.dissolved / area,
            "splits": events["splits"],
            "collapses": events["collapses"],
            "coalescences": events["coalesces"],
            "regained_fraction": self.life.regained_um2 / area,
        }
        before = self._last or dict.fromkeys(row, 0.0)
        # Of this interval alone: the share since the start would hide that sinks fade or set in.
        made = row["stripped_um"] - before["stripped_um"]
        ended = sum(row[name] - before[name] for name in ("settled_um", "sink_um"))
        row["annihilated_fraction"] = ended / made if made > 0 else math.nan
        return row

    def _number_of_voids(self) -> int:
        """Voids that the grid resolves, with flaws and nuclei that have not grown to its cells yet.

        Debris below the area of a void is left out, as its number is that of the grid.
        """
        largest, area = self.life.voids[:, 1:3].T
        least, points = self.life.least_um2, self.gaps.points
        drawn = np.count_nonzero((area >= least) | (largest < least))
        nuclei = self.prepared.setting.homogeneous
        return int(drawn + (len(points) if nuclei else np.count_nonzero(points.flaw_um)))

    def _frame(self) -> Frame:
        # The gap in single precision: half the file, and far below what the grid resolves.
        gaps, points = self.gaps, self.gaps.points
        return Frame(
            {
                "time_s": gaps.time_s,
                "capacity_mAh_cm2": self._capacity(),
                "h_um": gaps.h_um.astype(np.float32),
            },
            {
                "points": {
                    "x_um": points.x_um,
                    "y_um": points.y_um,
                    "radius_um": gaps.point_radius_um,
                    "volume_um3": points.volume_um3,
                }
            },
        )

    # --- going on ---------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "rng": self.gaps.rng.bit_generator.state,
            "reasons": self.reasons,
            "counts": [self.at_stage, self.next_row, self.early],
            "clock": [self.began_s, self._framed, self.owed],
            "last": np.array(list(self._last.values()), dtype=float),
            "columns": list(self._last),
            **{f"gaps_{name}": values for name, values in self.gaps.arrays().items()},
            **{f"life_{name}": values for name, values in self.life.arrays().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        # As at the start, and then overwritten: the state must fit the shapes of this setting.
        self.reasons = list(state["reasons"])
        self._new()
        self.gaps.rng.bit_generator.state = state["rng"]
        self.gaps.restore(_part(state, "gaps_"))
        self.life.restore(_part(state, "life_"))
        self.at_stage, self.next_row, self.early = state["counts"]
        self.began_s, self._framed, self.owed = state["clock"]
        self._last = dict(zip(state["columns"], state["last"].tolist(), strict=True))


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
