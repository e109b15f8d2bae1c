"""Tables of free energies of clusters: they are what the walks give.

``python tests/nuclei/test_vapour.py`` writes them anew, for the energies of all shipped runs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from arithmetic import same_arithmetic

from kmc.common import catalogue
from kmc.model.parameters import load_parameters
from kmc.nuclei import vapour
from kmc.nuclei.surface import Surface
from kmc.runfile.load import load_run
from kmc.systems.population.setup import coverage_of


@cache
def surfaces() -> dict[str, Surface]:
    """Table → interface, of shipped runs of populations and in equilibrium between strips."""
    found = {}
    for name in catalogue.names("runs"):
        run = load_run(name)
        if run.kind == "electrode":
            if run.acceleration.max_hops_per_strip_per_site != np.inf:
                continue
            others = [
                load_parameters(c.params, c.parameters) for c in run.interface.chemistry or ()
            ]
            sets, coverage = [run.parameter_set(), *others], 0.0
        elif run.kind == "population":
            sets = [run.parameter_set()]
            coverage = coverage_of(run, sets[0])
        else:
            continue
        for parameters in sets:
            metal = run.conditions.temperature_K, coverage, run.system.mg_fraction
            surface = Surface(parameters, run.system.lattice, *metal)
            found.setdefault(vapour.table_of(surface).name, surface)
    return found


def test_every_shipped_run_has_its_table_and_no_table_is_left_over():
    assert set(surfaces()) == {path.name for path in vapour.TABLES.iterdir()}


def _equal(surface: Surface) -> None:
    """Equal to 1e-9; on another processor, whose walks take other ways, by five standard errors.

    Those of four walkers are uncertain by a third, and footprint and height of a cluster have none.
    """
    by_walks, table = vapour.walked(surface), vapour._free_energies(surface, False)
    for name in vapour.COLUMNS:
        values, again = getattr(table, name), getattr(by_walks, name)
        if same_arithmetic():
            np.testing.assert_allclose(values, again, atol=1e-9)
        elif name in ("ln_Z", "sampled_ln_Z"):
            error = name.replace("ln_Z", "error") if "sampled" in name else "ln_Z_error"
            errors = np.hypot(getattr(table, error), getattr(by_walks, error))
            assert (np.abs(values - again) < 1e-9 + 5 * np.maximum(errors, errors.mean())).all()
        elif "error" not in name:
            np.testing.assert_allclose(values, again, rtol=0.05)
    assert replace(table, **{name: getattr(by_walks, name) for name in vapour.COLUMNS}) == by_walks


@pytest.mark.slow
def test_a_table_is_what_the_walks_give():
    _equal(Surface(load_parameters("li_li2s"), "bcc_100", 298.15))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in vapour.TABLES.glob("*.csv")))
def test_every_table_is_what_the_walks_give(name):
    _equal(surfaces()[name])


@pytest.mark.parametrize("change", [{"temperature_K": 299.0}, {"mg_fraction": 0.01}])
def test_other_conditions_have_other_tables(change):
    surface = Surface(load_parameters("limg_li2s"), "bcc_100", 298.15, 0.1)
    assert vapour.table_of(replace(surface, **change)) != vapour.table_of(surface)


@pytest.mark.parametrize(
    "key", ["formation_energy_L1_eV", "formation_energy_bulk_eV", "second_shell_ratio"]
)
def test_other_energies_have_other_tables(key):
    value = load_parameters("li_li2s").value(key)
    other = load_parameters("li_li2s", {key: value + 1e-5})
    plain = vapour.table_of(Surface(load_parameters("li_li2s"), "bcc_100", 298.15))
    assert vapour.table_of(Surface(other, "bcc_100", 298.15)) != plain


if __name__ == "__main__":
    vapour.TABLES.mkdir(exist_ok=True)
    for path in vapour.TABLES.iterdir():
        path.unlink()
    for name, surface in surfaces().items():
        free = vapour.walked(surface)
        about = f"{surface.parameters.name}, {surface.lattice}, {surface.temperature_K:g} K, Mg "
        about += (
            f"{surface.mg_coverage:g} in L1, {surface.mg_fraction:g}\n{','.join(vapour.COLUMNS)}"
        )
        columns = np.column_stack([getattr(free, column) for column in vapour.COLUMNS])
        np.savetxt(vapour.TABLES / name, columns, fmt="%.17g", delimiter=",", header=about)
        print(name, about.partition("\n")[0])
