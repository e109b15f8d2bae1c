"""The result of a population, read from its file."""

import math
from functools import cached_property
from typing import Any

import numpy as np

from kmc.analysis import coulombic
from kmc.common.conditions import driven_by_run, ended
from kmc.common.formatting import duration, figure, percent, plural, scaled
from kmc.errors import InputError
from kmc.files.table_run import Columns, TableRun
from kmc.nuclei.field import Medium
from kmc.systems.population.life import KINDS, gaps_of
from kmc.systems.population.magnesium import MagnesiumProfile
from kmc.systems.population.setting import FINE_CELL_OVER_LIP
from kmc.systems.population.state import cover_of
from kmc.systems.population.voltage import kinetics_of

_FEW_VOIDS = 20  # below this many, contact is that of single voids
_ASSUMED = (
    "sink_length_um",
    "sink_depth_um",
    "rounding_length_um",
    "flaw_density_per_um2",
    "dislocation_modulus_GPa",
)
# Of the shipped cells of lithium: inferred from images of one, or assumed, and that cell's pellet.
OF_LITHIUM = {
    "flaw_density_per_um2": 0.061,
    "flaw_radius_nm": 100.0,
    "rounding_length_um": 1.8,
    "series_resistance_ohm_cm2": 14.3,
}
_RAISED = 0.05  # share of rims with raised surface diffusion that is worth saying
_COARSE = 1.02  # of cells that were asked for to those that resolve rims
_ROUNDING = 1e-9


class PopulationRun(TableRun):
    """A population of voids as its file holds it; made by `kmc.load`.

    For voids of micrometres over mAh/cm²; single atoms are in the `Trajectory` of a box.

    - `frames`: when the gap was recorded; ``h_um`` holds it, shape (n_frames, n, n), rows along y.
    - `points`, `events`: voids smaller than two cells in each frame; voids that appeared, split,
      met or closed. A file of schema 1 has ``voids`` and ``discs`` instead, and no gap.
    """

    points: Columns
    events: Columns

    @property
    def is_complete(self) -> bool:
        """Whether frames hold the gap; those of schema 1 do not."""
        return "h_um" in self.frames

    @property
    def edge_um(self) -> float:
        """Edge of the periodic square."""
        return float(self.facts.get("edge_um") or self.run["upscale"]["domain_um"])

    def gap_um(self, frame: int) -> np.ndarray:
        """The gap of a frame, shape (n, n), rows along y; −1 is the last.

        Raises `InputError`: the file is of an earlier kmc, whose voids were discs.
        """
        if not self.is_complete:
            raise InputError(
                f"{self.path} is of kmc {self.kmc_version}, whose voids were discs: it has no gap",
                advice="Its samples can be drawn, --what microscope; run it again for maps.",
            )
        return self.frames["h_um"][frame].astype(float)

    def contact_map(self, frame: int) -> np.ndarray:
        """Share of each cell on contact, shape (n, n); voids still kept as points are not on it.

        With hysteresis of the contact angle as if all rims spread.
        """
        # Files before 0.3 have twice the height over radius of the cap instead.
        older = 2 * float(self.facts["height_over_radius"])
        slope = float(self.facts.get("contact_slope", older))
        return 1.0 - cover_of(self.gap_um(frame), self.edge_um, slope)

    def of_frame(self, frame: int) -> Columns:
        """Voids of a frame, one row each: those on the grid first, then the points."""
        frame = range(len(self.frames["time_s"]))[frame]
        drawn, mine = gaps_of(self.gap_um(frame), self.edge_um), self.points["frame"] == frame
        radius = self.points["radius_um"][mine]
        x_um, y_um = drawn.centres_um()
        columns = {
            "x_um": (x_um, self.points["x_um"][mine]),
            "y_um": (y_um, self.points["y_um"][mine]),
            "footprint_um2": (drawn.area_um2, np.pi * radius**2),
            "volume_um3": (drawn.volume_um3, self.points["volume_um3"][mine]),
        }
        return Columns({name: np.concatenate(parts) for name, parts in columns.items()})

    @cached_property
    def voids(self) -> Columns:
        """Voids of all frames, one row each, with the ``frame``."""
        parts = [self.of_frame(i) for i in range(len(self.frames["time_s"]))]
        frame = np.repeat(np.arange(len(parts)), [len(part["x_um"]) for part in parts])
        names = parts[0] if parts else ()
        columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
        return Columns({"frame": frame, **columns} if parts else {})

    def _in_short(self) -> list[tuple[str, str]]:
        """How it ended, contact, voids, overpotential, trust: at most eight lines."""
        kelvin = f"{self.run['conditions']['temperature_K']:g} K"
        name, edge = self.resolved["parameter_set"], f"{self.edge_um:.3g} µm"
        reason = self.stop_reason
        # A stop of the run file that was reached is shown with its value.
        if value := (self.run.get("stop", {}) | self.run["upscale"]).get(reason):
            reason = f"{reason} reached {value:g}"
        conditions = f"{name}, {edge} × {edge}, {kelvin}, {driven_by_run(self.run)}"
        rows = [ended(self, reason), ("Conditions", conditions)]
        if not len(self.samples["time_s"]):
            return [*rows, ("Samples", "none yet")]
        s = self.samples
        contact = [f"{percent(s['contact_fraction'][-1])} at the end"]
        if s["plated_um"][-1] > 0:
            contact = [*self._after_strips(), *contact]
        for share, name in ((0.5, "half"), (0.1, "nine tenths")):
            if math.isfinite(charge := self.charge_at_contact(share)):
                contact.append(f"{name} lost at {figure(charge, 'mAh/cm²')}")
        rows += [("Stripped", self._charge()), ("Contact", "; ".join(contact)), *self._voids()]
        # Without any contact left the overpotential is infinite, and would be the largest for ever.
        volts = np.where(np.isfinite(s["overpotential_V"]), s["overpotential_V"], 0.0)
        most = int(np.argmax(np.abs(volts)))
        text = f"{scaled(s['overpotential_V'][-1], 'V')} at the end"
        if most + 1 < len(volts):
            at = figure(s["capacity_mAh_cm2"][most], "mAh/cm²")
            text += f", largest {scaled(volts[most], 'V')} at {at}"
        trust = f"{self._trust()}{self._inferred_from_lithium()}"
        rows += [("Overpotential", f"{text}{self._in_series()}"), ("Trust", trust)]
        # Where flaws do not open again what follows in a run that strips again is no finding on
        # voids.
        plating = s["current_density_mA_cm2"] < 0
        closed = np.flatnonzero((s["voids_per_um2"] == 0) & plating & (s["step"] > 0))
        upscale = self.run["upscale"]
        for_good = upscale["nucleation"] == "flaws" and not upscale.get("flaws_reopen")
        of_flaws = for_good and len(closed)
        if of_flaws and (s["current_density_mA_cm2"][closed[0] :] > 0).any():
            text = (
                f"plating closed every void in cycle {s['cycle'][closed[0]]:.0f}; flaws do not "
                "open again, so that later strips begin at full contact without voids "
                "(upscale.flaws_reopen)"
            )
            rows = [*(row for row in rows if row[0]), ("", text)]
        return rows

    def everything(self) -> list[tuple[str, str]]:
        """The lines of ``summary(full=True)``: those of the short one, then its numerics."""
        rows, s = self._in_short(), self.samples
        square = [self.run["system"]["lattice"]]
        if "cell_um" in self.facts:
            square.append(f"cells of {figure(self.facts['cell_um'], 'µm')}")
        if self.facts.get("mg_coverage"):
            square.append(f"Mg {percent(self.facts['mg_coverage'])} of the interface")
        if len(self.replicas) > 1:
            square.append(plural(len(self.replicas), "replica"))
        rows.append(("Square", ", ".join(square)))
        if self.is_complete and len(s["time_s"]):
            names = ("coalescences", "splits", "collapses")
            counts = ", ".join(plural(int(s[name][-1]), name[:-1]) for name in names)
            rows.append(("Events", f"{counts}; other cells of the grid see other numbers"))
        return rows

    def charge_at_contact(self, fraction: float) -> float:
        """Charge in mAh/cm² at which the contact first falls below a fraction, NaN if it never
        does.

        Raises `InputError`: the fraction is none.
        """
        if not 0 < fraction <= 1:
            raise InputError(
                f"contact {fraction:g} is no share between 0 and 1", advice="Half of it is 0.5."
            )
        s = self.samples
        # The first crossing: plating may bring contact back and lose it again.
        below = np.flatnonzero(s["contact_fraction"] < fraction)
        if not len(below) or not below[0]:
            return float("nan")
        # Between the rows on both sides; negative, as `interp` wants abscissae that rise.
        two = slice(below[0] - 1, below[0] + 1)
        return float(np.interp(-fraction, -s["contact_fraction"][two], s["capacity_mAh_cm2"][two]))

    # --- lines of a summary -----------------------------------------------------------------------

    def _after_strips(self) -> list[str]:
        """Contact at the end of the first and of the last strip step."""
        s = self.samples
        last_rows = np.flatnonzero(np.diff(s["step"], append=np.inf))
        ends = [row for row in last_rows if s["current_density_mA_cm2"][row] > 0]
        which = [*((row, "first") for row in ends[:1]), *((row, "last") for row in ends[1:][-1:])]
        contact = s["contact_fraction"]
        return [f"{percent(contact[row])} after the {name} strip" for row, name in which]

    def _charge(self) -> str:
        s, layer = self.samples, self.facts["monolayer_mAh_cm2"]

        def monolayers(charge: float) -> str:
            return f"{figure(charge, 'mAh/cm²')} ({figure(charge / layer)} monolayers)"

        most, last = float(s["capacity_mAh_cm2"].max()), float(s["capacity_mAh_cm2"][-1])
        text = f"{monolayers(most)} in {duration(float(s['time_s'][-1]))}"
        if s["plated_um"][-1] > 0:
            # A full cycle leaves the rounding of its charges, which is no charge.
            net = last if abs(last) > _ROUNDING * most else 0.0
            text = f"{monolayers(most)} at most; {figure(net, 'mAh/cm²')} net at the end"
        if not self.is_complete:
            return text
        made = max(float(s["stripped_um"][-1] + s["initial_um"][-1]), 1e-300)
        return f"{text}; {percent(s['settled_um'][-1] / made)} of it settled"

    def _voids(self) -> list[tuple[str, str]]:
        s = self.samples
        at = int(np.argmax(s["voids_per_100um"]))
        if not s["voids_per_100um"][at] > 0:
            return [("Voids", "none in a cross-section")]
        text = f"in a cross-section at most {self._section(at)}"
        rows = [("Voids", f"{text}, at {figure(s['capacity_mAh_cm2'][at], 'mAh/cm²')}")]
        if s["voids_per_100um"][-1] > 0 and at + 1 < len(s["time_s"]):
            rows.append(("", f"at the end {self._section(-1)}"))
        return rows

    def _section(self, row: int) -> str:
        s = self.samples
        return (
            f"{figure(s['voids_per_100um'][row])} per 100 µm, "
            f"{figure(s['mean_width_um'][row], 'µm')} wide, "
            f"{figure(s['mean_height_um'][row], 'µm')} high"
        )

    def _in_series(self) -> str:
        """The series resistance of the run as a thickness of the electrolyte of its set."""
        ohm_cm2 = float(self.run["conditions"].get("series_resistance_ohm_cm2") or 0.0)
        if not ohm_cm2 or "electrolyte_activation_eV" not in self.params:
            return ""
        # A run gives the resistance itself: with another set it is another thickness.
        um = 10 * ohm_cm2 * kinetics_of(self).conductivity_mS_cm
        return f"; {ohm_cm2:g} Ω cm² in series are {figure(um, 'µm')} of this electrolyte"

    def _inferred_from_lithium(self) -> str:
        """Inputs that have the values of lithium cells in a run of another metal."""
        settings = self.run["conditions"] | self.run["upscale"]
        names = [key for key, value in OF_LITHIUM.items() if settings.get(key) == value]
        if self.metal == "Li" or not names:
            return ""
        return f"; inferred from lithium cells, not {self.metal}: {', '.join(names)}"

    def _trust(self) -> str:
        """What limits the numbers most: too few voids, else inputs that nobody has measured."""
        number = round(float(self.samples["voids_per_um2"].max()) * self.edge_um**2)
        text = f"{plural(number, 'void')} at most"
        if number < _FEW_VOIDS:
            return f"{text}: too few for a mean contact (a larger upscale.domain_um)"
        cell, fine = (self.facts.get(key, 0.0) for key in ("cell_um", "resolving_cell_um"))
        if cell and not (fine and cell > _COARSE * fine):
            text += f"; cells of {figure(cell, 'µm')}{self._cells_across(cell, fine)}"
        elif cell:
            text += (
                f"; cells of {figure(cell, 'µm')} are wider than the {figure(fine, 'µm')} that "
                "resolve rims: voids are too round and contact is lost late"
            )
        # Until nine tenths of the contact are lost; files before 0.3 do not say.
        rims = self.samples.get("raised_rim_fraction")
        while_contact = self.samples["contact_fraction"] > 0.1
        if rims is not None and (raised := float(rims[while_contact].mean())) > _RAISED:
            text += (
                f"; {percent(raised, 2)} of the rims have lips thinner than the cells: "
                "contact is lost late (a smaller upscale.grid_um)"
            )
        settings = self.run["conditions"] | self.run["upscale"]
        names = [key for key in _ASSUMED if math.isfinite(float(settings.get(key) or math.inf))]
        if self.samples["plated_um"][-1] > 0 and settings.get("flaws_reopen"):
            names.append("flaws_reopen")
        return f"{text}; assumed: {', '.join(names) or 'how fast voids round off'}"

    def _cells_across(self, cell_um: float, fine_um: float) -> str:
        """How many cells there are across the rim of a spreading void, and across a mean void."""
        widths = self.samples["mean_width_um"]
        # Of most of the voids, as debris of a few cells is what is left of them later.
        at = int(np.argmax(self.samples["voids_per_100um"]))
        rim, void = fine_um / FINE_CELL_OVER_LIP / cell_um, widths[at] / cell_um
        across = [f"{x:.0f} to a {name}" for x, name in ((rim, "rim"), (void, "void")) if x >= 1]
        return f" ({', '.join(across)})" if across else ""

    def coulombic_efficiency(self) -> list[float | None]:
        """Stripped over plated charge of each completed cycle; None where it does one of the two.

        Empty without a protocol.
        """
        return [cycle.efficiency for cycle in coulombic.cycles(self)]

    def magnesium(self, diffusivity_cm2_s: float | None = None) -> MagnesiumProfile:
        """Profile of Mg above contact at the end: `fraction` against `z_um`, `line_scan`.

        - `diffusivity_cm2_s`: D_Mg at S = 1; that of the parameter set at 25 °C by default.

        Raises `InputError`: a run without Mg, or of an earlier kmc that did not count what settled.
        """
        conditions, fraction = self.run["conditions"], self.run["system"]["mg_fraction"]
        tabulated_cm2_s = self.params.get("diffusivity_Mg_25C_cm2_s", {}).get("value")
        if (
            not fraction
            or "settled_um" not in self.samples
            or not (diffusivity_cm2_s or tabulated_cm2_s)
        ):
            raise InputError(
                f"{self.path} has no Mg that settling metal brings: system.mg_fraction = "
                f"{fraction:g}",
                advice="Run it with an alloy such as limg_li2s, and this version of kmc.",
            )
        depth = self.facts.get("sink_depth_um", conditions.get("sink_depth_um"))
        ways = (conditions.get("sink_length_um"), depth)
        # Of the medium only thickness and sinks shape S(z); what else it has is not used.
        metal = Medium(
            *(1.0, 0.0, 0.0, 0.0, float(conditions["electrode_thickness_um"]), 1.0),
            *(math.inf if way is None else float(way) for way in ways),
        )
        profile = MagnesiumProfile(
            fraction, 1e8 * float(diffusivity_cm2_s or tabulated_cm2_s or 0.0), metal
        )
        rows = self.samples
        profile.follow(rows["time_s"], rows["settled_um"], rows["supersaturation"])
        return profile

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain data; NaN and infinity are null."""
        counts = self.events["kind"] if self.is_complete else None
        return {
            **super().to_json(),
            "coulombic_efficiency": self.coulombic_efficiency(),
            "events": {}
            if counts is None
            else {kind: int((counts == i).sum()) for i, kind in enumerate(KINDS)},
        }
