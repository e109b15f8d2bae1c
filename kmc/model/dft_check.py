"""The DFT configurations of a parameter set, rebuilt on a lattice and compared with the model.

Every energy is a difference of total energies H of two configurations, summed bond by bond. No
formula of the calibration is used, so agreement is a test of the calibration. A row that disagrees
is a miss, with its reason: a limit of the model.
"""

import functools
import math
import re
from dataclasses import dataclass, replace

import numpy as np

from kmc.common.units import E_C, N_A, K_B_eV, MICRO_eV
from kmc.model.adatoms import KINK, Adatoms, adatoms
from kmc.model.hamiltonian import LI, MG, VACANCY, Hamiltonian, calibrate
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import ParameterSet
from kmc.model.solute import activation_energy_ueV, solute_correlation

TOLERANCE_eV = 0.02
_CLOSE_eV = TOLERANCE_eV + 1e-5  # the calibration rounds each energy to whole µeV
_F_BCC = 0.7272  # tracer correlation factor of vacancy diffusion in bcc
_CELLS = (8, 8)
_LAYERS = 18  # whole periods of every bcc face
# Units of a, to the first five shells of neighbours.
_PAIR_DISTANCES = (math.sqrt(3) / 2, 1.0, math.sqrt(2), math.sqrt(11) / 2, math.sqrt(3))
_COMPUTED_PAIRS = "li_li2s_clusters has computed energies of pairs in lithium"
_EDGE = 8  # of the periodic box of a substrate, simple cubic


@dataclass(frozen=True)
class CheckRow:
    """One configuration: the DFT value, the model's, and whether they agree."""

    name: str
    unit: str
    # dft, model: None where there is no value
    dft: float | None
    model: float | None
    ok: bool | None  # None where there is nothing to compare
    note: str = ""  # basis of the row; for a miss the reason
    instead: str = ""  # result of the model where it has no number, such as "does not wet"
    assumed: bool = False  # the value in the DFT column is an assumption of the set

    @property
    def difference(self) -> float | None:
        if self.dft is None or self.model is None:
            return None
        return self.model - self.dft


def row_of(
    parameters: ParameterSet,
    name: str,
    key: str,
    model: float | None,
    note: str = "",
    unit: str = "eV",
    tolerance: float = _CLOSE_eV,
) -> CheckRow:
    """A row against a quantity of the set; nothing is compared where the set does not have it."""
    if not parameters.has(key):
        return CheckRow(name, unit, None, model, None, note)
    quantity = parameters[key]
    ok = None if model is None else bool(abs(model - quantity.value) <= tolerance)
    return CheckRow(name, unit, quantity.value, model, ok, note, assumed=quantity.assumed)


def check_rows(parameters: ParameterSet, lattice_name: str = "bcc_100") -> list[CheckRow]:
    """Compare the calibrated model with every DFT number of a parameter set.

    - `lattice_name`: lattice to calibrate for and to build the configurations on.
    """
    bench = _Bench(parameters, lattice_name)
    if parameters.has("pair_bond_eV"):
        return bench.lattice_gas_rows()
    rows = bench.vacancy_rows()
    if "Mg" in parameters.species:
        rows += bench.mg_bulk_rows() + bench.fill_rows()
    rows += bench.kinetic_rows()
    if "Mg" in parameters.species:
        rows += bench.diffusivity_rows()
    if parameters.has("molar_volume_cm3_mol"):
        volume_cm3 = N_A * (parameters.value("lattice_parameter_A") * 1e-8) ** 3 / 2
        note = "two atoms in a cube of the lattice parameter, which was rounded"
        given = ("molar volume", "molar_volume_cm3_mol", volume_cm3, note, "cm³/mol", 0.01)
        rows.append(row_of(parameters, *given))
    rows += bench.pair_rows() + bench.surface_rows() + bench.wetting_rows()
    named = functools.partial(re.sub, r"\bLi\b", parameters.metal)
    return [replace(row, name=named(row.name), note=named(row.note)) for row in rows]


def contact_angle_of_energies_deg(parameters: ParameterSet, lattice_name: str) -> float:
    """Contact angle that the calibrated energies imply (Young-Dupré), as `check_rows` shows it.

    NaN where the metal spreads on the electrolyte or does not wet it at all.
    """
    bench = _Bench(parameters, lattice_name)
    cosine = bench.adhesion_eV / bench.surface_eV - 1
    return math.degrees(math.acos(cosine)) if abs(cosine) <= 1 else math.nan


class _Bench:
    """A bulk box and an interface box with the same parameter set, and their perfect energies."""

    def __init__(self, parameters: ParameterSet, lattice_name: str):
        self.parameters, self._row = parameters, functools.partial(row_of, parameters)
        target = parameters.quantities.get("work_of_adhesion_J_m2")
        self.electrolyte = "Li2S" if target and "S4" in target.source else "the electrolyte"
        a = parameters.value("lattice_parameter_A")
        self.bulk = Lattice(lattice_name, _CELLS, _LAYERS, "periodic", a)
        self.interface = Lattice(lattice_name, _CELLS, _LAYERS, "interface", a)
        self.h_bulk = calibrate(parameters, self.bulk)
        self.h_interface = calibrate(parameters, self.interface)
        self.per_atom = self._energy(self.bulk, {}) / self.bulk.n_sites
        self.surface_eV = self._surface_eV(self.bulk, self.h_bulk)  # γ of one site of the interface

    def _energy(self, lattice: Lattice, changed: dict[int, int]) -> float:
        """H in eV of perfect Li with some sites changed."""
        occupancy = np.full(lattice.n_sites, LI)
        for site, species in changed.items():
            occupancy[site] = species
        h = self.h_bulk if lattice is self.bulk else self.h_interface
        return h.energy_ueV(occupancy, lattice) / MICRO_eV

    def _formation(self, lattice: Lattice, site: int, others: dict[int, int]) -> float:
        """Vacancy formation energy: the removed atom goes to a kink of the bulk."""
        before = self._energy(lattice, others)
        return self._energy(lattice, {**others, site: VACANCY}) - before + self.per_atom

    def _layer_site(self, layer: int) -> int:
        return (layer - 1) * self.interface.sites_per_layer

    # --- pure Li ----------------------------------------------------------------------------------

    def vacancy_rows(self) -> list[CheckRow]:
        L1, L2, L3 = (self._formation(self.interface, self._layer_site(k), {}) for k in (1, 2, 3))
        deep = self._formation(self.interface, self._layer_site(_LAYERS // 2), {})
        bulk = self._formation(self.bulk, 0, {})
        rows = [
            self._row("vacancy in the bulk", "formation_energy_bulk_eV", bulk),
            self._row(f"vacancy in L1 at {self.electrolyte}", "formation_energy_L1_eV", L1),
            self._row("L1 vacancy moved to L2", "formation_energy_L1_to_L2_eV", L2 - L1),
            CheckRow("vacancy in L2", "eV", None, L2, None, "the sum of the two rows above"),
        ]
        if abs(L3 - deep) > 1e-6:
            note = "L3 misses first neighbours on this face; no DFT value, no site energy assumed"
            rows.append(CheckRow("vacancy in L3", "eV", None, L3, None, note))
        return rows

    # --- Mg in the bulk ---------------------------------------------------------------------------

    def mg_bulk_rows(self) -> list[CheckRow]:
        third = self._neighbour_at(self.bulk, 0, math.sqrt(2.0))
        places = (
            (1, "3.0 Å", int(self.bulk.neighbours(0, 1)[0]), ""),
            (2, "3.5 Å", int(self.bulk.neighbours(0, 2)[0]), "assumed, not in the paper"),
            (3, "4.9 Å", third, "the model's bonds end at the second shell"),
        )
        return [
            self._row(
                f"vacancy {distance} from Mg in the bulk (shell {shell})",
                f"formation_energy_Mg_shell{shell}_eV",
                self._formation(self.bulk, 0, {site: MG}),
                note,
            )
            for shell, distance, site, note in places
        ]

    @staticmethod
    def _neighbour_at(
        lattice: Lattice, site: int, distance_a: float, layer: int | None = None
    ) -> int:
        """Some site at this distance (units of a), in a given layer if there is one."""
        distance = lattice.distance_A(site, np.arange(lattice.n_sites))
        near = np.abs(distance / lattice.lattice_parameter_A - distance_a) < 1e-3
        if layer is not None and (near & (lattice.layer == layer)).any():
            near &= lattice.layer == layer
        return int(np.flatnonzero(near)[0])

    # --- the interface with Mg --------------------------------------------------------------------

    def fill_rows(self) -> list[CheckRow]:
        box = self.interface
        vacancy = self._layer_site(1)
        above = [int(s) for s in box.neighbours(vacancy, 1) if s >= 0 and box.layer[s] == 2]
        magnesium = above[0]
        lithium = min(above[1:], key=lambda s: float(box.distance_A(magnesium, s)))
        start = self._energy(box, {vacancy: VACANCY, magnesium: MG})
        by_li = self._energy(box, {magnesium: MG, lithium: VACANCY}) - start
        by_mg = self._energy(box, {vacancy: MG, magnesium: VACANCY}) - start

        far = self._neighbour_at(box, vacancy, math.sqrt(2.0), layer=1)
        start = self._energy(box, {vacancy: VACANCY, far: MG})
        beside_mg = set(box.neighbours(far, 1)) | set(box.neighbours(far, 2))
        adjacent = next((s for s in above if s not in beside_mg), above[-1])
        by_far = self._energy(box, {far: MG, adjacent: VACANCY}) - start
        distance = f"{float(box.distance_A(vacancy, far)):.1f} Å"
        rows = []
        beside = [int(s) for s in box.neighbours(vacancy, 1) if s >= 0 and box.layer[s] == 1]
        # On faces where first neighbours lie in the same layer, L1 can fill it, too.
        if beside:
            start = self._energy(box, {vacancy: VACANCY, magnesium: MG})
            by = [self._energy(box, {magnesium: MG, site: VACANCY}) - start for site in beside]
            note = (
                f"{len(beside)} of the {(box.neighbours(vacancy, 1) >= 0).sum()} first neighbours "
                "of an L1 site are in L1 on this face: the vacancy leaves the Mg within L1, for "
                f"{max(by):.3f} eV at the least. The DFT energies are of fillings from L2 and say "
                "nothing of it; it follows from them and the bonds"
            )
            name = "L1 vacancy beside Mg of L2, filled by Li of L1"
            rows = [CheckRow(name, "eV", None, min(by), None, note)]
        return [
            self._row(
                "L1 vacancy beside Mg of L2, filled by Li",
                "fill_Li_near_Mg_eV",
                by_li,
                f"the vacancy goes to the L2 site {float(box.distance_A(magnesium, lithium)):.1f} Å"
                " from the Mg; 4.0 Å in the paper's relaxed cell",
            ),
            self._row(
                "L1 vacancy beside Mg of L2, filled by it",
                "fill_Mg_near_Mg_eV",
                by_mg,
                "plain exchange; in the paper's Fig. 2g Mg and vacancy end 7.2 Å apart",
            ),
            self._row(
                f"L1 vacancy {distance} from Mg, filled by Li",
                "fill_Li_far_from_Mg_eV",
                by_far,
                "4.9 Å in the paper; no bond of the model reaches that Mg, so it has the step of "
                "pure Li, L1 to L2",
            ),
            *rows,
        ]

    # --- kinetics ---------------------------------------------------------------------------------

    def kinetic_rows(self) -> list[CheckRow]:
        """Barriers of hops in the bulk, and D of the atoms of Li."""
        vacancy, atom = 0, int(self.bulk.neighbours(0, 1)[0])
        other = next(int(s) for s in self.bulk.neighbours(atom, 1) if s != vacancy)
        hops: list[tuple[str, str, dict[int, int], str]] = [
            ("hop of Li in the bulk", "barrier_Li_eV", {}, "")
        ]
        if "Mg" in self.parameters.species:
            note = "mean of forward and reverse"
            hops.append(("hop of Li beside Mg", "barrier_Li_near_Mg_eV", {other: MG}, note))
            hops.append(("hop of Mg in the bulk", "barrier_Mg_eV", {atom: MG}, ""))
        rows = []
        for name, key, others, note in hops:
            moving = others.get(atom, LI)
            before = self._energy(self.bulk, {**others, vacancy: VACANCY, atom: moving})
            after = self._energy(self.bulk, {**others, vacancy: moving, atom: VACANCY})
            energy = round((after - before) * MICRO_eV)
            barrier = round(self.parameters.value(key) * MICRO_eV)
            # There and back: the mean has no share of the change of energy.
            both = [activation_energy_ueV(barrier, e, 0) for e in (energy, -energy)]
            rows.append(self._row(name, key, float(np.mean(both)) / MICRO_eV, note))
        p = self.parameters
        activation_eV = self._formation(self.bulk, 0, {}) + p.value("barrier_Li_eV")
        value = _F_BCC * (p.value("lattice_parameter_A") * 1e-8) ** 2
        value *= p.value("attempt_frequency_Hz") * math.exp(-activation_eV / (K_B_eV * 298.15))
        value *= p.entropy_factor
        note = "f a² ν exp(S_f/k) exp(−(E_f + E0)/kT), f = 0.7272"
        return [*rows, CheckRow("self-diffusion of Li at 25 °C", "cm²/s", None, value, None, note)]

    def diffusivity_rows(self) -> list[CheckRow]:
        """D of Mg as the model moves it: f a² ν exp(−(E_f,1 + E0)/kT).

        E_f,1 is that of a vacancy beside the Mg, f the correlation factor of the model's rates.
        """
        p = self.parameters
        beside = self._formation(self.bulk, 0, {int(self.bulk.neighbours(0, 1)[0]): MG})
        alone, hop_eV = self._formation(self.bulk, 0, {}), p.value("barrier_Mg_eV")
        a2_nu = (p.value("lattice_parameter_A") * 1e-8) ** 2 * p.value("attempt_frequency_Hz")
        a2_nu *= p.entropy_factor
        rows = []
        for celsius in (25, 60):
            key = f"diffusivity_Mg_{celsius}C_cm2_s"
            kT = K_B_eV * (celsius + 273.15)
            f = solute_correlation(p, self.h_bulk, celsius + 273.15)
            value = float(f * a2_nu * math.exp(-(beside + hop_eV) / kT))
            dft = p.value(key) if p.has(key) else None
            ok = None if dft is None else abs(value / dft - 1) < 0.05
            note = (
                f"f a² ν exp(−(E_f + E0)/kT) with f = {f:.3f} and E_f = {beside:.3f} eV beside the "
                "Mg, as it moves in the model"
            )
            if dft is not None and not ok:
                own = p.value("attempt_frequency_Hz") * dft / value
                without = a2_nu * math.exp(-(alone + hop_eV) / kT)
                note += (
                    f"; ν = {own / 1e12:.2g}e12 Hz would meet it. ν was inferred with the "
                    f"{alone:.3f} eV of pure Li and without f, which gives {without:.3g}: if the "
                    "paper's D counts the repulsion between vacancy and Mg, ν is too low"
                )
            rows.append(CheckRow(f"D of Mg at {celsius} °C", "cm²/s", dft, value, ok, note))
        return rows

    # --- vacancies beside each other, and surfaces ------------------------------------------------

    def pair_rows(self) -> list[CheckRow]:
        """Pairs of vacancies in the bulk: shells with bonds, and others the set has energies of."""
        rows = []
        for shell, distance_a in enumerate(_PAIR_DISTANCES, start=1):
            key = f"formation_energy_pair_shell{shell}_eV"
            if shell < 3 or self.parameters.has(key):
                other = self._neighbour_at(self.bulk, 0, distance_a)
                both = self._energy(self.bulk, {0: VACANCY, other: VACANCY})
                each = (both - self._energy(self.bulk, {})) / 2 + self.per_atom
                note = "no bond reaches it: by atoms beside both vacancies alone, which repel"
                if shell < 3:
                    compared = self.parameters.has(key)
                    note = "" if compared else f"by second_shell_ratio; {_COMPUTED_PAIRS}"
                name = f"vacancy of a bulk pair, shell {shell}"
                rows.append(self._row(name, key, each, note))
        return rows

    def surface_rows(self) -> list[CheckRow]:
        """Surface energies of three faces, where the set has them."""
        rows = []
        for face in ("100", "110", "111"):
            key = f"surface_energy_{face}_J_m2"
            if self.parameters.has(key):
                a = self.parameters.value("lattice_parameter_A")
                box = Lattice(f"bcc_{face}", _CELLS, _LAYERS, "periodic", a)
                energy = self._surface_eV(box, calibrate(self.parameters, box))
                energy *= E_C / (box.site_area_A2 * 1e-20)
                rows.append(self._row(f"surface ({face}) of Li", key, energy, unit="J/m²"))
        return rows

    @staticmethod
    def _surface_eV(box: Lattice, h: Hamiltonian) -> float:
        """Energy of a free surface per site of a layer: half of the periodic bulk taken away."""
        half = np.where(box.layer <= _LAYERS // 2, LI, VACANCY)
        two = h.energy_ueV(half, box) - h.perfect_energy_ueV(box) / 2
        return two / MICRO_eV / 2 / box.sites_per_layer

    @functools.cached_property
    def adhesion_eV(self) -> float:
        """W: energy per L1 site of a void as wide as the box and half as high."""
        box, h, layers = self.interface, self.h_interface, _LAYERS // 2
        film = np.where(box.layer <= layers, VACANCY, LI)
        change = h.energy_ueV(film, box) - h.perfect_energy_ueV(box)
        return (change / box.sites_per_layer - layers * h.kink_binding_ueV) / MICRO_eV

    # --- wetting ----------------------------------------------------------------------------------

    def wetting_rows(self) -> list[CheckRow]:
        """Work of adhesion and contact angle (Young-Dupré), W = γ (1 + cos θ)."""
        p = self.parameters
        joule = E_C / (self.interface.site_area_A2 * 1e-20)  # J/m² per eV and site
        gamma, adhesion = self.surface_eV, self.adhesion_eV
        note = (
            "from the site energies of L1 and L2 alone, which come from vacancies: the model was "
            f"not fitted to it. Bonds from vacancy energies make γ = {gamma * joule:.3f} J/m²"
        )
        if not self.h_interface.is_pairwise:
            note = "by input: bond_L1_vacancies_eV was chosen for it"
        if p.has("work_of_adhesion_J_m2") and p.has("contact_angle_deg"):
            # By the same equation, the γ with which both numbers of the set would be true.
            angle = math.radians(p.value("contact_angle_deg"))
            implied = p.value("work_of_adhesion_J_m2") / (1 + math.cos(angle))
            note += f"; the DFT numbers imply {implied:.3f}"
        name = f"work of adhesion of Li on {self.electrolyte}"
        rows = [
            self._row(name, "work_of_adhesion_J_m2", adhesion * joule, note, "J/m²"),
            self._contact_angle_row(adhesion / gamma - 1),
        ]
        if "Mg" in p.species:
            key = "contact_angle_alloy_deg"
            note = "not rebuilt: the paper's text does not give the alloy's cell at the interface"
            name = f"contact angle of Li-Mg on {self.electrolyte}"
            rows.append(self._row(name, key, None, note, "°"))
        return rows

    def _contact_angle_row(self, cosine: float) -> CheckRow:
        name = f"contact angle of Li on {self.electrolyte}"
        key, unit, h = "contact_angle_deg", "°", self.h_interface
        reason = f"cos θ = W/γ − 1 = {cosine:.3f}, with γ from all bonds cut"
        if not h.is_pairwise:
            reason = "by input: W and γ were chosen for it"
        if abs(cosine) > 1:
            instead, why = "spreads", "W exceeds 2γ"
            # Site energies that repel Li come from bonds that are missing on this face.
            if cosine < 0:
                energies = [int(h.phi[LI, layer]) / MICRO_eV for layer in (1, 2)]
                missing = [int(14 - h.n_neighbours[:, layer].sum()) for layer in (1, 2)]
                instead = "does not wet"
                why = (
                    f"W is negative: L1 misses {missing[0]} of 14 neighbours and L2 {missing[1]} "
                    "on this face, so bonds alone make vacancies there about as cheap as the DFT "
                    f"energies ask for, or cheaper, and site energies of {energies[0]:+.3f} and "
                    f"{energies[1]:+.3f} eV are left"
                )
            dft = self.parameters.value(key) if self.parameters.has(key) else None
            verdict = None if dft is None else False
            return CheckRow(name, unit, dft, None, verdict, f"{reason}; {why}", instead)
        # Without L2, for comparison with values that were computed that way.
        n1, n2 = h.n_neighbours[:, 1]
        bonds = (8 - n1) * h.bond1[LI, LI] + (6 - n2) * h.bond2[LI, LI]
        alone = float(-2 * h.phi[LI, 1] / bonds - 1) if h.is_pairwise else math.inf
        if abs(alone) <= 1:
            reason += (
                ". With the missing bonds and the site energy of L1 alone it would be "
                f"{math.degrees(math.acos(alone)):.1f}°, but L2 misses bonds and has a site energy "
                "as well"
            )
        angle = math.degrees(math.acos(cosine))
        return self._row(name, key, angle, reason, unit, tolerance=1.0)

    # --- the plain lattice gas --------------------------------------------------------------------

    def lattice_gas_rows(self) -> list[CheckRow]:
        pair = self.parameters.value("pair_bond_eV")
        second = int(self.bulk.neighbours(0, 1)[0])
        single = self._formation(self.bulk, 0, {})
        double = self._energy(self.bulk, {0: VACANCY, second: VACANCY})
        double -= self._energy(self.bulk, {})
        barrier = self.parameters.value("barrier_Li_eV")
        used = float(Model(self.bulk, self.parameters, 300.0).barriers_ueV[0]) / MICRO_eV
        rows = (
            ("vacancy in the bulk", 4 * pair, single, "4 bonds"),
            ("two vacancies side by side", 15 * pair, double, "15 bonds broken"),
            ("hop barrier", barrier, used, ""),
        )
        return [
            CheckRow(n, "eV", dft, own, abs(own - dft) <= 1e-5, note) for n, dft, own, note in rows
        ]


# --- adatoms on a substrate ----------------------------------------------------------------------


def adatom_rows(parameters: ParameterSet) -> list[CheckRow]:
    """The same of a substrate, such as li_zno_002, on the lattice of a deposition.

    - `parameters`: has the quantities `kmc.model.adatoms.NEEDED`.
    """
    e = adatoms([parameters], 298.15, 0.0)
    empty = np.zeros((_EDGE, _EDGE, _EDGE), dtype=bool)
    lone = empty.copy()
    lone[0, 0, 0] = True
    slab = empty.copy()
    slab[:3] = True
    kink = slab.copy()
    kink[3, :, :4] = True  # half a layer, and one atom at the end of a row on it
    kink[3, :4, 4] = True
    beside = kink.copy()
    beside[3, 4, 4] = True
    terrace = slab.copy()
    terrace[3, 4, 4] = True
    hole = slab.copy()
    hole[1, 4, 4] = False
    at_kink = _adatom_energy(kink, e) - _adatom_energy(beside, e)
    formation = _adatom_energy(hole, e) - _adatom_energy(slab, e) - at_kink
    saddle, binding = e.saddle_eV(), e.binding_eV()
    held = e.substrate_eV[0] - e.bond_eV
    rows = (
        ("lone Li on the substrate", "adsorption_energy_eV", -_adatom_energy(lone, e)),
        ("Li at a kink of the metal", "cohesive_energy_eV", at_kink),
        ("vacancy in the metal", "formation_energy_bulk_eV", formation),
        ("hop of a lone Li on it", "surface_barrier_eV", saddle[0, 0, 0] + binding[0, 0]),
        ("hop on a terrace", "metal_surface_barrier_eV", saddle[1, 1, 0] + binding[1, 1]),
    )
    checked = [row_of(parameters, name, key, float(model)) for name, key, model in rows]
    on_terrace = _adatom_energy(slab, e) - _adatom_energy(terrace, e)
    checked.append(
        CheckRow("lone Li on a terrace", "eV", None, float(on_terrace), None, "from the bonds")
    )
    note = "above 0 a film spreads" if held > 0 else "below 0: islands, no film"
    checked.append(CheckRow("first layer, beyond a terrace", "eV", None, float(held), None, note))
    return checked


def _adatom_energy(there: np.ndarray, e: Adatoms) -> float:
    """Total energy against free atoms, [z, y, x]; periodic in the plane, z = 0 on the substrate."""
    bonds = sum(int((there & np.roll(there, 1, axis)).sum()) for axis in (1, 2))
    bonds += int((there[1:] & there[:-1]).sum())
    per_atom = e.cohesive_eV - KINK * e.bond_eV
    first = int(there[0].sum())
    return -(bonds * e.bond_eV + first * e.substrate_eV[0] + int(there.sum()) * per_atom)
