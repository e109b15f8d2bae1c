"""The samples of a file alone: the same numbers as a whole reading, and the same care."""

from __future__ import annotations

import fake
import fake_results
import h5py
import numpy as np
import pytest

import kmc
from kmc.errors import FileFormatError, InputError
from kmc.systems.run import system_of


def read_samples(path):
    return system_of(path).load(path, "samples/")


def test_samples_are_those_of_a_whole_reading(tmp_path):
    path = fake_results.voids(tmp_path, "population")
    found, whole = read_samples(path), kmc.load(path)
    assert (found.kind, found.finished, found.stop_reason) == (
        whole.kind,
        whole.finished,
        whole.stop_reason,
    )
    assert found.facts == whole.facts
    assert found.samples.keys() == whole.samples.keys()
    for name, values in whole.samples.items():
        assert np.array_equal(found.samples[name], values, equal_nan=True)


def test_samples_of_a_box(tmp_path):
    path = fake.write(tmp_path / "box.h5")
    assert read_samples(path).to_dataframe().equals(kmc.load(path).to_dataframe())


@pytest.mark.parametrize("damage", ["value", "link", "length"])
def test_what_is_damaged_is_refused(tmp_path, damage):
    path = fake_results.voids(tmp_path, "population")
    with h5py.File(path, "r+") as file:
        name = "samples/contact_fraction"
        values = file[name][:]
        if damage == "value":
            file[name][3] = 0.123
        else:
            del file[name]
            if damage == "link":
                file[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/a")
            else:
                file[name] = values[:-1]
    with pytest.raises(FileFormatError):
        read_samples(path)


def test_what_is_not_there_is_an_error_in_words(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_samples(tmp_path / "none.h5")
