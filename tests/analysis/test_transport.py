"""Transport against closed forms, and against following every atom."""

from __future__ import annotations

import math

import event_log as hops
import fake
import naive
import numpy as np
import pytest
from checks import agrees, li_box
from event_log import diffusion
from paired_engines import Setup, random_occupancy

import kmc
from kmc import load
from kmc.analysis.transport import Estimate, block_ratio
from kmc.errors import InputError

D_VACANCY = 3.506e-8**2 * 2.6e12 * math.exp(-0.055 / (naive.K_B_EV * 298.15))


def logged(setup, occupancy, seed, events):
    engine = setup.engine(occupancy, seed, log_events=events)
    engine.advance(events=events)
    log = engine.log
    return log.site_from, log.site_to, log.species, log.time_s


@pytest.mark.validation
def test_one_vacancy_in_lithium():
    """D_v = a² ν exp(−E0/kT), f = 0.7272 and D* = f c_v D_v.

    Each within 4 standard errors (`agrees`), which 600 000 hops bring below 1 % (f: 0.4 %). ⟨R²⟩ of
    256 windows has √(2/3/256) = 5 % if they are independent: 10 % is asked of it. What follows
    from the same sums by an identity agrees to rounding.
    """
    setup = Setup("bcc_100", (20, 20), 40, "periodic")
    lattice, occupancy = setup.kmc_lattice(), li_box(setup, 0)
    found = diffusion(*logged(setup, occupancy, 7, 600_000), occupancy, lattice)
    agrees(found.D_vacancy, D_VACANCY, resolution=0.01)
    agrees(found.correlation_factor["Li"], 0.7272, resolution=0.004)
    agrees(found.D_tracer["Li"], 0.7272 * D_VACANCY / lattice.n_sites)
    L = found.onsager["vacancy", "vacancy"]
    volume_nm3 = np.prod(lattice.box_A) / 1000
    assert L.value == pytest.approx(found.D_vacancy.value * 1e14 / volume_nm3)
    assert found.onsager["Li", "vacancy"].value == pytest.approx(-L.value)
    assert math.isnan(found.mg_drift.value)
    for row in found.msd[found.msd.windows >= 256].itertuples():
        expected = 6 * D_VACANCY * 1e14 * row.lag_s
        agrees(Estimate(row.msd_vacancy_nm2, row.msd_vacancy_error_nm2), expected, resolution=0.1)
    assert "D vacancy" in repr(found)


def test_identities_equal_following_every_particle():
    setup = Setup("bcc_110", (4, 4), 8, "periodic", values=naive.LIMG_LI2S)
    lattice = setup.kmc_lattice()
    occupancy = random_occupancy(lattice.n_sites, np.random.default_rng(1), 5, 20)
    site_from, site_to, species, time_s = logged(setup, occupancy, 3, 3000)
    atom_at = {int(site): int(site) for site in np.flatnonzero(occupancy)}
    vacancy_at = {int(site): int(site) for site in np.flatnonzero(occupancy == 0)}
    atoms, vacancies = [], []
    for a, b in zip(site_from.tolist(), site_to.tolist(), strict=True):
        atoms.append(atom_at.pop(a))
        vacancies.append(vacancy_at.pop(b))
        atom_at[b], vacancy_at[a] = atoms[-1], vacancies[-1]
    for leaves, arrives, own in ((site_from, site_to, atoms), (site_to, site_from, vacancies)):
        particle, before = hops.identities(leaves, arrives)
        first, previous = {}, {}
        for k, name in enumerate(own):
            assert particle[k] == first.setdefault(name, k)
            assert before[k] == previous.get(name, -1)
            previous[name] = k

    found = diffusion(site_from, site_to, species, time_s, occupancy, lattice)
    step = hops.hop_vectors_nm(lattice, site_from, site_to)
    moved = np.zeros((lattice.n_sites, 3))
    np.add.at(moved, atoms, step)
    for name, s in (("Li", 1), ("Mg", 2)):
        own = occupancy == s
        D = (moved[own] ** 2).sum() / 6 / own.sum() / time_s[-1] * 1e-14
        assert found.D_tracer[name].value == pytest.approx(D)
    total = sum(found.onsager["vacancy", name].value for name in ("vacancy", "Li", "Mg"))
    assert abs(total) < 1e-9 * found.onsager["vacancy", "vacancy"].value  # sites are conserved


def test_block_errors_are_honest():
    """Of 400 sets of correlated numbers 95 % lie within 2 standard errors, 20 blocks each."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal((400, 2009))
    memory = np.stack([np.convolve(row, np.ones(10), "valid") for row in noise])  # 2000 each
    estimates = [block_ratio(row, 1.0) for row in memory]
    within = np.mean([abs(e.value) < 2 * e.error for e in estimates])
    assert 0.90 < within < 0.985
    assert repr(Estimate(1.234, 0.01, "nm")) == "1.234 ± 0.01 nm"
    assert float(Estimate(1.5, 0.1)) == 1.5
    assert math.isnan(block_ratio([], 1.0).value)
    assert math.isnan(block_ratio([1.0], 1.0).error)


def test_wrong_logs():
    setup = Setup("bcc_100", (4, 4), 8, "periodic")
    lattice, occupancy = setup.kmc_lattice(), li_box(setup, 0)
    site_from, site_to, species, time_s = logged(setup, occupancy, 1, 50)
    diffusion(site_from, site_to, species, time_s, occupancy, lattice)
    with pytest.raises(InputError, match="does not start from this occupancy"):
        diffusion(site_from, site_to, species, time_s, li_box(setup, 9), lattice)
    with pytest.raises(InputError, match="differ in length"):
        diffusion(site_from[1:], site_to, species, time_s, occupancy, lattice)
    with pytest.raises(InputError, match="log is empty"):
        diffusion([], [], [], [], occupancy, lattice)
    with pytest.raises(InputError, match="enter or leave"):
        diffusion(np.r_[-1, site_from[1:]], site_to, species, time_s, occupancy, lattice)


def at_rest(path, every, *, frames=400, magnesium=0):
    """A trajectory of a closed box with so many hops between frames; returns log and lattice."""
    values = naive.LIMG_LI2S if magnesium else naive.LI_LI2S
    setup = Setup("bcc_100", (12, 12), 24, "periodic", values=values)
    lattice = setup.kmc_lattice()
    occupancy = random_occupancy(lattice.n_sites, np.random.default_rng(2), 1, magnesium)
    site_from, site_to, species, time_s = logged(setup, occupancy, 5, every * frames)
    writer = fake.writer_of(path, lattice, fake.resolved(lattice, species=("Li", "Mg")))
    now = occupancy.copy()
    for k in range(every * frames + 1):
        if k % every == 0:
            clock = float(time_s[k - 1]) if k else 0.0
            at = {"events": k, "time_s": clock}
            at |= {"capacity_monolayers": 0.0, "capacity_mAh_cm2": 0.0}
            writer.append_sample(dict.fromkeys(writer.tables.samples, 0) | at)
            writer.append_frame(occupancy=now, **at)
        if k < every * frames:
            now[site_to[k]], now[site_from[k]] = species[k], 0
    writer.close(finished=True, stop_reason="done")
    return (site_from, site_to, species, time_s), lattice


@pytest.mark.slow
def test_frames_tell_collective_displacements(tmp_path):
    log, lattice = at_rest(tmp_path / "t.h5", 10, magnesium=600)
    found = kmc.transport(load(tmp_path / "t.h5"))
    assert found.resolved == {"vacancy": True, "Mg": True}
    step = hops.hop_vectors_nm(lattice, log[0], log[1])
    for name, sign, own in (("vacancy", -1, log[2] > 0), ("Mg", 1, log[2] == 2)):
        expected = (sign * step * own[:, None]).reshape(-1, 10, 3).sum(axis=1)
        np.testing.assert_allclose(found.displacement_nm[name], expected, atol=1e-6)
    values = found.table.set_index("quantity").value
    share = 600 / (lattice.n_sites - 1)
    assert 0.05 * share < values["mg_drift"] < share  # Mg hops more slowly than Li
    assert values["L_vacancy_Mg"] < 0 < values["L_Mg_Mg"]
    assert "mg_drift" in repr(found)


@pytest.mark.slow
def test_frames_too_far_apart_say_so(tmp_path):
    at_rest(tmp_path / "near.h5", 10)
    near = kmc.transport(load(tmp_path / "near.h5")).table.set_index("quantity").loc
    D = near["D_vacancy_ideal"]
    agrees(Estimate(D.value, D.error), D_VACANCY, resolution=0.1)
    at_rest(tmp_path / "far.h5", 800, frames=60)
    far = kmc.transport(load(tmp_path / "far.h5"))
    assert far.resolved == {"vacancy": False}
    assert far.table.value.isna().all()
    assert "frames too far apart" in repr(far)


def test_boxes_that_are_not_at_rest(tmp_path):
    with pytest.raises(InputError, match="has an interface"):
        kmc.transport(load(fake.write(tmp_path / "a.h5")))
    periodic = fake.lattice(cells=(12, 12), layers=12, boundary="periodic")
    with pytest.raises(InputError, match="other atoms"):
        kmc.transport(load(fake.write(tmp_path / "b.h5", box=periodic)))
    with pytest.raises(InputError, match="transport needs three"):
        kmc.transport(load(tmp_path / "b.h5"), frames=[0, 1])
