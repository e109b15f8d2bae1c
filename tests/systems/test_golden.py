"""Files of earlier versions, and runs that must give the same numbers as they did then.

tests/data/golden holds small files of every kind of run, named by the commit that wrote them and
packed with gzip. Whoever changes what a run computes replaces the file and says why; whoever
changes what a file looks like adds one, and keeps the old.
"""

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from arithmetic import same_arithmetic

import kmc
from kmc.common.json_files import json_safe
from kmc.errors import InputError
from kmc.files.checkpoint import unpack
from kmc.model.quantities import RETIRED

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
NAMES = sorted(path.name.removesuffix(".h5.gz") for path in GOLDEN.glob("*.h5.gz"))
BOX = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 1e3,
    "stop.capacity_monolayers": 0.5,
    "output.sample_every_monolayers": 0.05,
    "output.frame_every_monolayers": 0.25,
}
RATIO = {"acceleration.max_hops_per_strip_per_site": 1e3}
SHORT = {"stop.capacity_monolayers": 0.3}
PAUSED = {**BOX, "acceleration.max_hops_per_strip_per_site": 1e4, "stop.capacity_monolayers": 2.0}
RUNS = {
    "electrode_li": ("strip_li_hops", BOX),
    "electrode_limg": ("strip_limg", BOX),
    "electrode_cycle": ("cycle_li", {k: v for k, v in BOX.items() if not k.startswith("stop")}),
    "electrode_plate": (
        "strip_li_hops",
        BOX | SHORT | {"conditions.current_density_mA_cm2": -0.5, "system.vacancy_fraction": 0.05},
    ),
    "electrode_voltage": (
        "strip_li_hops",
        BOX
        | SHORT
        | {"conditions.current_density_mA_cm2": None, "conditions.overpotential_V": 0.02},
    ),
    "deposition": (
        "plate_zno_002",
        {
            "system.size": [10, 10, 8],
            "stop.capacity_monolayers": 0.6,
            "output.sample_every_monolayers": 0.1,
            "output.frame_every_monolayers": 0.3,
            **RATIO,
        },
    ),
    "deposition_cycle": ("aurbach_zno_002", {"system.size": [8, 8, 8], **RATIO}),
    "cathode": (
        "cathode_se",
        {
            "cathode.edge_sites": 16,
            "cathode.grain_sites": 6,
            "cathode.cycles": 2,
            "cathode.steps": 4,
        },
    ),
}
# Runs that compute something else since: creep by backward Euler; a run file with a formation; the
# overpotential, its concentration term and the vacancies behind them while a current plates, and at
# rest (f7e5ede, the first file of a box of schema 3).
WRITTEN = {
    "cathode": "0.2.0",
    "deposition_cycle": "0.2.0",
    "electrode_cycle": "f7e5ede",
    "electrode_plate": "0.2.0",
}
_ROUNDING = 1e-11  # of another numpy, numba or processor, whose exp differs in the last bit


def unpacked(name: str, folder: Path) -> Path:
    path = folder / f"{name}.h5"
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
    return path


def numbers(path: Path) -> dict[str, np.ndarray]:
    """Every dataset of numbers; not texts, which name versions, and not checksums of texts."""
    found: dict[str, np.ndarray] = {}

    def take(name, place):
        left_out = name in ("record", "resolved", "run_file") or name.startswith("checkpoint")
        left_out |= name.endswith("/crc32")  # of the rows and frames of boxes of earlier versions
        if isinstance(place, h5py.Dataset) and not left_out:
            found[name] = place[()]

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return found


def assert_same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() >= expected.keys()
    exact = same_arithmetic()
    for name, values in expected.items():
        assert found[name].shape == values.shape, name
        if exact:
            assert found[name].tobytes() == values.tobytes(), name
        elif not name.endswith("checksum"):
            # Fields that are solved for round as their largest values do.
            smallest = _ROUNDING * np.max(np.abs(values[np.isfinite(values)]), initial=0.0)
            np.testing.assert_allclose(found[name], values, _ROUNDING, smallest, err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_files_of_earlier_versions_are_read_and_verified(name, tmp_path):
    path = unpacked(name, tmp_path)
    found = kmc.load(path)
    assert found.finished == ("interrupted" not in name)
    assert len(found.samples) == len(found.samples.time_s) > 1
    assert found.samples[-1].time_s == found.samples.time_s[-1]
    n = found.to_xarray().sizes["frame"]
    assert len(found.frames) == n
    assert found.frames[n - 1]
    with pytest.raises(IndexError):
        found.frames[n]
    assert found.run_file
    checked = kmc.verify(path)
    assert checked.passed, checked


@pytest.mark.parametrize("name", RUNS)
def test_the_same_seed_gives_the_numbers_that_it_gave(name, tmp_path):
    base, changes = RUNS[name]
    kmc.run(base, changes, output=tmp_path / "new.h5", progress=False)
    written = f"{WRITTEN.get(name, '136ba7f')}.{name}"
    old, new = unpacked(written, tmp_path), tmp_path / "new.h5"
    assert_same(numbers(new), numbers(old))
    if name.startswith("electrode") and same_arithmetic():
        assert settings_and_state(new) == settings_and_state(old)


def settings_and_state(path: Path) -> dict:
    """Numbers of /record that a run computes with, and its last state: equal in any order of keys.

    The rest of /record may change: the version, notes of parameters, keys that came later.
    """
    with h5py.File(path, "r") as file:
        resolved = json.loads(file["record"][()].tobytes())["resolved"]
        old = isinstance(file["checkpoint"], h5py.Group)
        state = unpack(file["checkpoint/end" if old else "checkpoint"][()].tobytes())
        state = {key: value for key, value in state.items() if not key.startswith("crc_")}
        state["recorded"] = state["recorded"][:2]  # observations at rest came later
    values = {k: v["value"] for k, v in resolved["parameters"].items() if k not in RETIRED}
    return {"hamiltonian": resolved["hamiltonian"], "values": values, "state": json_safe(state)}


def test_a_paused_run_of_an_earlier_version_goes_on_to_the_same_numbers(tmp_path):
    path = unpacked("136ba7f.electrode_paused", tmp_path)
    kmc.extend(path, {"stop.wall_time_s": None}, progress=False)
    kmc.run("strip_li_hops", PAUSED, output=tmp_path / "whole.h5", progress=False)
    assert_same(numbers(path), numbers(tmp_path / "whole.h5"))


def test_a_paused_run_with_fewer_columns_is_not_continued(tmp_path):
    path = unpacked("7df17f8.electrode_paused", tmp_path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="another set of columns"):
        kmc.resume(path, progress=False)
    assert path.read_bytes() == before
