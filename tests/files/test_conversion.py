"""Trajectories as xarray, frames as ASE, and the tables a notebook shows."""

from __future__ import annotations

import builtins

import fake
import numpy as np
import pytest

from kmc import load
from kmc.errors import InputError
from kmc.files.check_result import Verification


@pytest.fixture(scope="module")
def t(tmp_path_factory):
    path = tmp_path_factory.mktemp("conversion") / "run.h5"
    return load(fake.write(path, box=fake.lattice(cells=(6, 6)), species=("Li", "Mg")))


def test_to_xarray(t):
    ds = t.to_xarray(occupancy=True)
    assert ds.sizes == {"sample": len(t.samples), "frame": len(t.frames), "site": t.lattice.n_sites}
    for name in t.samples:
        assert np.array_equal(ds[name].values, t.samples[name], equal_nan=True)
        assert ds[name].attrs["units"] == t.samples.units[name]
    assert np.array_equal(ds.occupancy[-1].values, t.frames[-1].occupancy)
    assert np.array_equal(ds.frame_time_s.values, t.frames.time_s)
    assert ds.attrs["seed"] == t.seed
    assert "time_s" in ds.coords
    assert "occupancy" not in t.to_xarray()


def test_to_ase(t):
    pytest.importorskip("ase")
    frame = t.frames[-1]
    atoms = frame.to_ase()
    assert len(atoms) == np.count_nonzero(frame.occupancy)
    symbols = np.array(["X", "Li", "Mg"])[frame.occupancy]
    sites = atoms.arrays["site"]
    assert list(atoms.symbols) == symbols[sites].tolist()
    assert np.allclose(atoms.positions, t.lattice.positions_A[sites])
    assert np.allclose(np.diag(atoms.cell), t.lattice.box_A)
    assert atoms.pbc.tolist() == [True, True, False]
    assert atoms.info["capacity_monolayers"] == frame.capacity_monolayers
    whole = frame.to_ase(vacancies=True)
    assert list(whole.symbols) == symbols.tolist()


def test_to_ase_without_ase(t, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "ase":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="ASE is not installed") as caught:
        t.frames[-1].to_ase()
    assert "pip install ase" in caught.value.advice


def test_plot(t):
    figure = t.plot("contact")
    assert len(figure.axes) >= 2
    with pytest.raises(InputError, match="no picture 'contakt'"):
        t.plot("contakt")


def test_tables_of_a_notebook(t, tmp_path):
    html = t.samples._repr_html_()
    assert "<caption>" in html
    assert "contact_fraction" in html
    assert html.count("<tr>") == len(t.samples.keys()) + 1
    assert "formation_energy_bulk_eV" in t.params._repr_html_()
    found = Verification(tmp_path / "<b>.h5", True, 1, 1, checks=["rows & frames"])
    assert "&lt;b&gt;.h5 passes" in found._repr_html_()
    assert "rows &amp; frames" in found._repr_html_()
    assert "a box of atoms" in t._repr_html_()
