"""Every value that a run file may hold comes back from the trajectory of its run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from fuzz_inputs import number
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmc.common import catalogue
from kmc.errors import InputError
from kmc.runfile.load import checked_run, load_run, restored_run


def some(**keys) -> st.SearchStrategy:
    """A section with some of these keys."""
    return st.fixed_dictionaries({}, optional=keys)


def one_of(*keys: str, values: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(st.just({}), *(st.fixed_dictionaries({key: values}) for key in keys))


def both(one: st.SearchStrategy, other: st.SearchStrategy) -> st.SearchStrategy:
    return st.tuples(one, other).map(lambda pair: {**pair[0], **pair[1]})


POSITIVE = number(1e-2, 1e3)
COUNT = st.one_of(st.integers(1, 2**62), st.sampled_from([1e6, 2**53 + 1]))
PLACE = number(0.3, 1.0)
CHEMISTRY = st.fixed_dictionaries(
    {"params": st.sampled_from(["li_philic_015", "li_neutral"]), "fraction": number(0, 0.3)},
    optional={"parameters": some(formation_energy_L1_eV=number(0.3, 0.4))},
)
SECTIONS = {
    "system": some(
        params=st.just("limg_li2s"),
        lattice=st.sampled_from(["bcc_100", "bcc_110", "bcc_111"]),
        size=st.tuples(*[st.integers(8, 40)] * 3).map(list),
        boundary=st.just("interface"),
        mg_fraction=number(0.01, 0.5),
        mg_coverage_L1=st.one_of(st.just("equilibrium"), number(0, 1)),
        mg_supply=st.sampled_from(["metal", "vacancies"]),
        vacancy_fraction=number(0, 0.05),
    ),
    "conditions": both(
        one_of("current_density_mA_cm2", "overpotential_V", values=number(0.01, 0.9)),
        some(
            temperature_K=number(250, 1000),
            stack_pressure_MPa=number(0, 100),
            electrode_thickness_um=st.one_of(st.just(math.inf), number(1, 1e4)),
            sink_length_um=st.one_of(st.just(math.inf), number(1, 1e4)),
            sink_depth_um=st.one_of(st.just(math.inf), number(1, 1e4)),
            strip_weight_lambda=number(0, 1),
        ),
    ),
    "acceleration": one_of("max_hops_per_strip_per_site", values=POSITIVE)
    | one_of("saddle_floor_eV", values=number(0, 2))
    | one_of("slow_down_by", values=number(1.01, 1e9))
    | some(superbasins=st.just(False)),
    "stop": both(
        st.fixed_dictionaries({"wall_time_s": POSITIVE}),
        some(
            capacity_monolayers=POSITIVE,
            capacity_mAh_cm2=number(1e-5, 1.0),
            contact_fraction=number(0, 0.5),
            overpotential_V=number(0.95, 5.0),
            events=COUNT,
            time_s=number(1e-3, 1e3),
        ),
    ),
    "rest": some(time_s=number(0.1, 10), events=COUNT.map(lambda n: n // 4 + 1)),
    "output": both(
        one_of("sample_every_monolayers", "sample_every_s", values=number(0.1, 1.0)),
        one_of("frame_every_monolayers", "frame_every_s", values=number(0.1, 1.0))
        | one_of("frame_every_events", values=st.integers(10**4, 10**6)),
    ),
    "interface": some(
        patches=st.lists(st.tuples(*[PLACE] * 3).map(list), min_size=1, max_size=3),
        voids=st.lists(st.tuples(*[PLACE] * 4).map(list), min_size=1, max_size=3),
        chemistry=st.lists(CHEMISTRY, min_size=1, max_size=3),
    ),
    "random": some(seed=st.integers(0, 2**63 - 1)),
    "parameters": some(second_shell_ratio=number(0.3, 0.6)),
}
TABLES = st.fixed_dictionaries({}, optional=SECTIONS).map(
    lambda tables: {"stop": {"capacity_monolayers": 1.0}, **tables}
)


def again(run):
    """The run as `kmc resume` makes it from the trajectory."""
    stored = json.loads(json.dumps(run.resolved()))
    return restored_run(stored, Path("run.h5"), run.text)


def assert_same(run) -> None:
    restored = again(run)
    for section in type(run).model_fields:
        one, other = (dict(getattr(r, section)) for r in (run, restored))
        assert one == other, section
    assert restored.resolved() == run.resolved()
    assert again(restored).resolved() == run.resolved()


made = {"runs": 0, "infinite": 0}


@pytest.mark.slow
@settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(TABLES)
def test_generated_runs(given_tables):
    try:
        run = checked_run(given_tables)
    except InputError:
        return
    made["runs"] += 1
    made["infinite"] += math.isinf(run.conditions.electrode_thickness_um)
    assert_same(run)


def test_enough_of_them_were_runs():
    if not made["runs"]:
        pytest.skip("the test before did not run in this process")
    assert made["runs"] > 60
    assert made["infinite"] > 5


@pytest.mark.parametrize("name", catalogue.names("runs"))
def test_shipped_runs(name):
    assert_same(load_run(name))


@pytest.mark.parametrize(
    "overrides",
    [
        {"conditions.electrode_thickness_um": math.inf},
        {"conditions.current_density_mA_cm2": None, "conditions.overpotential_V": 0.02},
        {"output.sample_every_events": 1e6},
        {
            "system.params": "limg_li2s",
            "system.mg_fraction": 0.1,
            "system.mg_coverage_L1": "equilibrium",
        },
    ],
)
def test_values_that_json_has_not(overrides):
    assert_same(load_run("strip_li_hops", overrides))


def test_a_text_that_says_inf_is_no_number_in_a_run_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('[conditions]\nelectrode_thickness_um = "inf"\n[stop]\nevents = 10\n')
    with pytest.raises(InputError, match="must be a number, not text"):
        load_run(path)
