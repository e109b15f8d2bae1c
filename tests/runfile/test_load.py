"""Run files: defaults, overrides, and every way they can be wrong."""

from __future__ import annotations

import doctest
import json
import math
import re
import tomllib

import numpy as np
import pytest
from pydantic import ValidationError

from kmc.common import catalogue
from kmc.errors import InputError
from kmc.runfile import kinds, load
from kmc.runfile.load import SECTIONS, RunFile, checked_run, load_run, parse_override
from kmc.runfile.sections import Cadence
from kmc.runfile.template import template

MINIMAL = "[stop]\nevents = 1000\n"


@pytest.fixture
def write(tmp_path):
    """Writes a run file and returns its path."""

    def write_file(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def refusal(path, overrides=None, **kwargs) -> InputError:
    with pytest.raises(InputError) as caught:
        load_run(path, overrides, **kwargs)
    assert caught.value.exit_code == 2
    assert "pydantic" not in str(caught.value).lower()
    return caught.value


# --- what a run file holds ------------------------------------------------------------------------


def test_defaults(write):
    run = load_run(write(MINIMAL))
    assert run.system.params == "li_li2s"
    assert run.system.lattice == "bcc_100"
    assert run.system.size == (32, 32, 24)
    assert run.system.boundary == "interface"
    assert run.system.mg_fraction == 0.0
    assert run.system.mg_coverage_L1 is None
    assert run.system.vacancy_fraction == 0.0
    assert run.conditions.temperature_K == 298.15
    assert run.conditions.current_density_mA_cm2 == 0.5
    assert run.conditions.overpotential_V is None
    assert run.conditions.stack_pressure_MPa == 0.0
    assert run.conditions.electrode_thickness_um == 100.0
    assert run.conditions.strip_weight_lambda == 0.5
    assert run.acceleration.max_hops_per_strip_per_site is None
    assert run.acceleration.saddle_floor_eV is None
    assert run.random.seed == 1
    assert run.parameters == {}


def test_what_a_run_remembers_of_its_file(write):
    path = write(MINIMAL)
    run = load_run(path, {"random.seed": 5})
    assert (run.name, run.text) == ("mine", MINIMAL)


def test_a_run_cannot_be_changed(write):
    run = load_run(write(MINIMAL))
    with pytest.raises(ValidationError):
        run.random = None
    with pytest.raises(ValidationError):
        run.random.seed = 2


def test_resolved_is_complete_and_json(write):
    resolved = load_run(write(MINIMAL)).resolved()
    others = ("protocol", *kinds.sections())
    assert list(resolved) == [name for name in SECTIONS if name not in others]
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved
    assert resolved["system"]["size"] == [32, 32, 24]
    assert resolved["output"]["sample_every_monolayers"] == 0.02


def test_a_closed_box_is_json_too(write):
    run = load_run(write(MINIMAL + "[conditions]\nelectrode_thickness_um = inf\n"))
    assert run.conditions.electrode_thickness_um == math.inf
    assert run.resolved()["conditions"]["electrode_thickness_um"] == "inf"


def test_cadence_defaults_follow_the_current(write):
    run = load_run(write(MINIMAL))
    assert run.cadence("sample") == Cadence(0.02, "monolayers")
    assert run.cadence("frame") == Cadence(0.2, "monolayers")
    run = load_run(write(MINIMAL + "[conditions]\ncurrent_density_mA_cm2 = 0\n"))
    assert run.cadence("sample") == Cadence(10_000, "events")
    assert run.cadence("frame") == Cadence(100_000, "events")


def test_cadence_given(write):
    run = load_run(write(MINIMAL + "[output]\nsample_every_s = 0.5\nframe_every_events = 1e4\n"))
    assert run.cadence("sample") == Cadence(0.5, "s")
    assert run.cadence("frame") == Cadence(10_000, "events")
    assert isinstance(run.cadence("frame").every, int)


def test_whole_numbers_are_numbers(write):
    run = load_run(write(MINIMAL + "[conditions]\ntemperature_K = 300\n"))
    assert run.conditions.temperature_K == 300.0
    assert isinstance(run.conditions.temperature_K, float)


def test_overridden_parameters_reach_the_set(write):
    run = load_run(write(MINIMAL + "[parameters]\nsecond_shell_ratio = 0.4\n"))
    assert run.parameter_set().value("second_shell_ratio") == 0.4


def test_paths_are_seen_from_the_run_file(write, tmp_path, monkeypatch):
    shipped = catalogue.locate("params", "li_li2s").read_text(encoding="utf-8")
    write(shipped, "own.toml")
    path = write(MINIMAL + '[system]\nparams = "own.toml"\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_run(path).parameter_set().name == "li_li2s"


# --- what is shipped ------------------------------------------------------------------------------


def test_strip_li():
    run = load_run("strip_li")
    assert run.name == "strip_li"
    assert run.system.params == "li_li2s"
    assert run.system.size == (40, 40, 24)
    assert run.conditions.current_density_mA_cm2 == 0.5
    assert run.conditions.electrode_thickness_um == 100.0
    assert run.acceleration.max_hops_per_strip_per_site is not None
    assert run.stop.capacity_monolayers is not None


def test_strip_limg_differs_from_strip_li_in_the_metal_only():
    lithium, alloy = load_run("strip_li_hops"), load_run("strip_limg")
    assert alloy.system.params == "limg_li2s"
    assert alloy.system.mg_fraction == 0.03
    assert alloy.system.mg_coverage_L1 == 0.6
    assert "ASSUMED" in alloy.text
    assert alloy.conditions == lithium.conditions
    assert alloy.system.size == lithium.system.size
    assert alloy.acceleration == lithium.acceleration


def test_template_loads_and_is_the_defaults(write):
    run = load_run(write(template()))
    plain = load_run(write(MINIMAL, "plain.toml"))
    assert run.system == plain.system
    assert run.conditions == plain.conditions
    assert run.random == plain.random
    assert run.cadence("sample") == plain.cadence("sample")


def test_template_has_every_key_once():
    text = template()
    # A protocol is a list of tables, and a population and other systems have their own runs.
    for section in set(SECTIONS) - {"parameters", "protocol", *kinds.sections()}:
        part = text.split(f"\n[{section}]\n")[1].split("\n[")[0]
        for key in RunFile.model_fields[section].annotation.model_fields:
            assert len(re.findall(rf"^(?:# )?{key} = ", part, re.MULTILINE)) == 1, key


def write_mask(folder):
    path = folder / "map.npy"
    np.save(path, np.eye(8, dtype=int))
    return path


def test_every_key_of_the_template_has_an_example_that_is_accepted(write, tmp_path):
    """Each key that is off is switched on alone; keys that exclude each other are taken out."""
    companions = {
        "patch_density_per_um2": {"interface.patch_radius_nm": 1.0},
        "patch_radius_nm": {"interface.patch_density_per_um2": 1e3},
        "void_density_per_um2": {"interface.void_radius_nm": 1.0, "interface.void_height_nm": 1.0},
        "void_radius_nm": {"interface.void_density_per_um2": 1e3, "interface.void_height_nm": 1.0},
        "void_height_nm": {"interface.void_density_per_um2": 1e3, "interface.void_radius_nm": 1.0},
        "mask": {
            "interface.chemistry": [{"params": "li_philic_015"}],
            "interface.mask": str(write_mask(tmp_path)),
        },
    }
    lines = template().splitlines()
    off = [i for i, line in enumerate(lines) if re.match(r"# [a-z]\w* = ", line)]
    assert len(off) > 12
    for i in off:
        text = "\n".join([*lines[:i], lines[i][2:], *lines[i + 1 :]])
        key = lines[i][2:].partition(" ")[0]
        overrides = {"system.params": "limg_li2s" if "mg_" in key else "li_li2s"}
        overrides |= companions.get(key, {})
        if "saddle_floor_eV" in lines[i] or "slow_down_by" in lines[i]:
            overrides["acceleration.max_hops_per_strip_per_site"] = None
        # In equilibrium between strips there are no hops for these.
        if key in ("lateral_supersaturation", "superbasins", "exchange", "box_resistance_share"):
            overrides["acceleration.max_hops_per_strip_per_site"] = 1e6
        if next(line for line in reversed(lines[:i]) if line.startswith("[")) == "[rest]":
            overrides["rest.time_s"] = 1.0  # its cadences are refused without a rest
        in_conditions = i < lines.index("[acceleration]")
        if "overpotential_V" in lines[i] and in_conditions:
            text = text.replace("current_density_mA_cm2 = ", "# current_density_mA_cm2 = ")
        load_run(write(text), overrides)


def test_template_tells_units_and_ranges():
    text = template()
    assert "[K; above 0 and at most 1000000]" in text
    assert "[at least 0 and at most 0.7 (bcc Li dissolves no" in text
    assert max(map(len, text.splitlines())) <= 100
    for scale in ("atoms", "cell"):  # TOML has no None
        assert "None" not in template(scale=scale)


# --- single values --------------------------------------------------------------------------------

# section, key, value as TOML, what the message says, what the advice says
REFUSED = [
    ("conditions", "temperature_K", '"300"', "must be a number, not text", "without quotes"),
    ("conditions", "temperature_K", '"warm"', "must be a number, not text", "above 0"),
    ("conditions", "temperature_K", "true", "must be a number, not true or false", ""),
    ("conditions", "temperature_K", "nan", "is not a number", ""),
    ("conditions", "temperature_K", "inf", "must be finite", ""),
    ("conditions", "temperature_K", "0", "out of range", "above 0 and at most 1000000"),
    ("conditions", "temperature_K", "-5", "out of range", "above 0"),
    ("conditions", "temperature_K", "[300]", "must be a number, not a list", ""),
    ("conditions", "temperature_K", "2024-01-01", "must be a number, not a date", ""),
    ("conditions", "current_density_mA_cm2", "-2e6", "out of range", "at least -1e6"),
    ("conditions", "current_density_mA_cm2", "inf", "must be finite", ""),
    ("conditions", "electrode_thickness_um", "0", "out of range", "at least 1e-6, or inf"),
    ("conditions", "electrode_thickness_um", "-inf", "out of range", "at least 1e-6, or inf"),
    ("conditions", "electrode_thickness_um", "nan", "is not a number", ""),
    ("conditions", "sink_length_um", "0", "out of range", "at least 1e-6, or inf (a sink at no"),
    ("conditions", "sink_length_um", "-2", "out of range", "at least 1e-6, or inf"),
    ("conditions", "sink_depth_um", "0", "out of range", "at least 1e-6, or inf (a sink at no"),
    ("conditions", "sink_depth_um", "-inf", "out of range", "at least 1e-6, or inf"),
    ("conditions", "sink_depth_um", "nan", "is not a number", ""),
    ("conditions", "overpotential_V", "0", "out of range", "above 0 and at most 1"),
    ("conditions", "stack_pressure_MPa", "-1", "out of range", "at least 0 and at most 1000"),
    ("conditions", "strip_weight_lambda", "1.5", "out of range", "at most 1"),
    ("system", "params", "3", "must be text, not a number", "quotes"),
    ("system", "boundary", '"interfase"', "not a valid choice", "Did you mean 'interface'?"),
    ("system", "boundary", "1", "not a valid choice", "'interface', 'periodic'"),
    (
        "system",
        "size",
        "32",
        "must be a list, not a number",
        "three whole numbers below 2^31: at least",
    ),
    ("system", "size", "[32, 32]", "has 2\u00a0entries", "three whole numbers"),
    ("system", "size", "[32, 32, 24, 1]", "has 4\u00a0entries", "three whole numbers"),
    ("system", "size", "[32, 32, 24.0]", "entry 3: 24.0 must be a whole number", ""),
    ("system", "size", "[32, true, 24]", "entry 2: true must be a whole number", ""),
    ("system", "size", '[32, "32", 24]', 'entry 2: "32" must be a whole number', "without quotes"),
    ("system", "size", "[3, 32, 24]", "entry 1: 3 is out of range", "at least 4 cells"),
    ("system", "size", "[32, 32, 7]", "entry 3: 7 is out of range", "8 layers"),
    ("system", "size", "[32, -32, 24]", "entry 2: -32 is out of range", "4 cells"),
    ("system", "size", "[100000, 100000, 100]", "1000000000000 sites, about 90000 GB", "193 GB"),
    ("system", "size", "[10000000000, 4, 8]", "entry 1: 10000000000 is out of range", "below 2^31"),
    ("system", "mg_fraction", "0.8", "out of range", "bcc Li dissolves no more Mg"),
    ("system", "mg_fraction", "-0.1", "out of range", "at least 0"),
    ("system", "mg_coverage_L1", "1.1", "out of range", '"equilibrium"'),
    ("system", "mg_coverage_L1", '"equilibrum"', "neither a number nor 'equilibrium'", ""),
    ("system", "mg_coverage_L1", '"0.6"', "neither a number", ""),
    ("system", "mg_coverage_L1", "true", "must be a number, not true or false", ""),
    ("system", "mg_coverage_L1", "nan", "is not a number", ""),
    ("system", "vacancy_fraction", "1", "out of range", "below 1"),
    ("system", "vacancy_fraction", "1e-9", "leaves no vacancy among 24576 sites", "or more"),
    ("acceleration", "max_hops_per_strip_per_site", "0", "out of range", "above 0"),
    ("acceleration", "max_hops_per_strip_per_site", "1e99", "out of range", "at most 1e30"),
    ("acceleration", "saddle_floor_eV", "-0.1", "out of range", "at least 0"),
    ("acceleration", "slow_down_by", "1", "out of range", "above 1"),
    ("stop", "capacity_monolayers", "0", "out of range", "above 0"),
    ("stop", "contact_fraction", "1", "out of range", "below 1"),
    ("stop", "events", "1.5", "must be a whole number", "at least 1"),
    ("stop", "events", "0", "out of range", "at least 1"),
    ("stop", "events", "true", "must be a whole number, not true or false", ""),
    ("stop", "events", "1e30", "out of range", "2^63"),
    ("stop", "events", "inf", "must be a whole number", ""),
    ("stop", "wall_time_s", "-1", "out of range", "above 0"),
    ("stop", "wall_time_s", "1e99", "out of range", "at most 1e12"),
    ("stop", "time_s", "1e99", "out of range", "at most 1e12"),
    ("stop", "time_s", "1e308", "out of range", "at most 1e12"),
    ("stop", "time_s", "inf", "must be finite", "at most 1e12"),
    ("stop", "overpotential_V", "1e99", "out of range", "at most 1e6"),
    ("rest", "time_s", "1e99", "out of range", "at most 1e12"),
    ("rest", "sample_every_s", "1e99", "out of range", "at most 1e12"),
    ("output", "frame_every_s", "1e99", "out of range", "at most 1e12"),
    ("output", "sample_every_monolayers", "1e99", "out of range", "at most 1e9"),
    ("output", "sample_every_events", "0", "out of range", "at least 1"),
    ("random", "seed", "-1", "out of range", "at least 0"),
    ("random", "seed", "1.0", "must be a whole number", ""),
    ("random", "seed", "false", "must be a whole number, not true or false", ""),
    ("random", "seed", '"1"', "must be a whole number, not text", "without quotes"),
    ("random", "seed", "100000000000000000000", "out of range", "2^63"),
    ("parameters", "barrier_Li_eV", '"0.1"', "must be a number, not text", ""),
    ("parameters", "barrier_Li_eV", "true", "must be a number", ""),
    ("parameters", "barrier_Li_eV", "-0.1", "out of range", "from 0 to 10 eV"),
]


@pytest.mark.parametrize(("section", "key", "value", "message", "advice"), REFUSED)
def test_value_refused_in_a_file(write, section, key, value, message, advice):
    tables = {"stop": "events = 1000", section: f"{key} = {value}"}
    path = write("".join(f"[{name}]\n{line}\n" for name, line in tables.items()))
    error = refusal(path)
    assert message in error.message
    assert f"{key} = " in error.message
    assert f"in section [{section}] of {path}" in error.message
    assert advice in (error.advice or "")


@pytest.mark.parametrize(("section", "key", "value", "message", "advice"), REFUSED)
def test_value_refused_in_an_override_with_its_own_origin(
    write, section, key, value, message, advice
):
    text = f"{section}.{key}={value}"
    name, parsed = parse_override(text)
    error = refusal(write(MINIMAL), {name: parsed}, origins={name: f"--set {text}"})
    assert error.message.startswith(f"--set {text} ")
    assert message in error.message
    assert "mine.toml" not in error.message
    assert advice in (error.advice or "")


def test_override_from_python_is_named_as_such(write):
    error = refusal(write(MINIMAL), {"random.seed": -1})
    assert error.message == "overrides['random.seed'] = -1 is out of range"


def test_nested_and_dotted_settings_mean_the_same(write):
    path, run = write(MINIMAL), {"stop": {"events": 1000}}
    nested, flat = {"random": {"seed": 2}, "stop": {"events": 9}}, {"stop.events": 9}
    for source in (path, run, {"stop.events": 1000}):
        found = load_run(source, nested)
        assert (found.random.seed, found.stop.events) == (2, 9)
        assert load_run(source, flat | {"random.seed": 2}).resolved() == found.resolved()
    error = refusal(path, {"random": {"seed": -1}})
    assert error.message == "overrides['random.seed'] = -1 is out of range"


def test_overrides_from_numpy_are_numbers(write):
    overrides = {
        "conditions.temperature_K": np.float32(300),
        "random.seed": np.int64(3),
        "system.size": [np.int64(8), np.int64(8), np.int64(8)],
    }
    run = load_run(write(MINIMAL), overrides)
    assert run.random.seed == 3
    assert run.conditions.temperature_K == 300.0
    json.dumps(run.resolved())


def test_an_enormous_integer_is_not_a_float(write):
    error = refusal(write(MINIMAL), {"conditions.temperature_K": 10**400})
    assert "too large" in error.message


# --- keys and sections ----------------------------------------------------------------------------


def test_misspelt_key_names_the_nearest(write):
    path = write(MINIMAL + "[conditions]\ntemprature_K = 300\n")
    error = refusal(path)
    assert error.message == f"'temprature_K' in section [conditions] of {path} is not a known key"
    assert error.advice.startswith("Did you mean 'temperature_K'? Keys of [conditions]: ")


def test_misspelt_section_names_the_nearest(write):
    path = write("[stopp]\nevents = 1\n")
    error = refusal(path)
    assert error.message == f"section [stopp] in {path} is not known"
    assert "Did you mean 'stop'?" in error.advice
    assert "[system], [interface], [conditions]" in error.advice


def test_key_outside_its_section(write):
    error = refusal(write("temperature_K = 300\n" + MINIMAL))
    assert "key 'temperature_K' outside a section" in error.message
    assert error.advice == "Put it below [conditions]."


@pytest.mark.parametrize("text", ["stop = 3\n", "[[stop]]\nevents = 1\n"])
def test_section_that_is_not_a_table(write, text):
    error = refusal(write(text))
    assert "'stop'" in error.message
    assert "must be a section" in error.message
    assert "[stop]" in error.advice


def test_unknown_parameter_names_set_and_nearest(write):
    path = write(MINIMAL + "[parameters]\nbarier_Li_eV = 0.1\n")
    error = refusal(path)
    assert f"'barier_Li_eV' in section [parameters] of {path}" in error.message
    assert "parameter set 'li_li2s'" in error.message
    assert "Did you mean 'barrier_Li_eV'?" in error.advice


def test_all_problems_are_told_at_once(write):
    path = write('[system]\nsize = "big"\n[conditions]\nfoo = 1\n[stop]\nevents = true\n')
    error = refusal(path)
    assert error.message.startswith(f"{path} has 3 problems:")
    for part in ("size = ", "'foo'", "events = true"):
        assert part in error.message


def test_syntax_error_names_the_line(write):
    error = refusal(write("[system]\nsize = [1,\n[stop]\n"))
    assert "not valid TOML" in error.message
    assert "line" in error.message


@pytest.mark.parametrize(
    ("key", "message", "advice"),
    [
        ("conditons.temperature_K", "unknown section 'conditons'", "Did you mean 'conditions'?"),
        ("temperature_K", "does not name a section and a key", "conditions.temperature_K?"),
        ("nonsense", "does not name a section and a key", "Write section.key"),
        ("system.size.x", "does not name a section and a key", "Write section.key"),
        (".seed", "does not name a section and a key", ""),
        ("random.sed", "'sed' in --set random.sed=1 is not a known key", "Did you mean 'seed'?"),
    ],
)
def test_override_of_what_there_is_not(write, key, message, advice):
    error = refusal(write(MINIMAL), {key: 1}, origins={key: f"--set {key}=1"})
    assert message in error.message
    assert advice in error.advice


def test_override_none_removes_a_key(write):
    path = write(MINIMAL + "[acceleration]\nmax_hops_per_strip_per_site = 1e5\n")
    overrides = {
        "acceleration.max_hops_per_strip_per_site": None,
        "acceleration.saddle_floor_eV": 0.3,
    }
    run = load_run(path, overrides)
    assert run.acceleration.max_hops_per_strip_per_site is None
    assert run.acceleration.saddle_floor_eV == 0.3


def test_override_none_of_a_misspelt_key_is_refused(write):
    assert "not a known key" in refusal(write(MINIMAL), {"random.sed": None}).message


def test_overrides_leave_the_text_of_the_file_alone(write):
    run = load_run(write(MINIMAL), {"stop.events": 5})
    assert run.stop.events == 5
    assert tomllib.loads(run.text)["stop"]["events"] == 1000


# --- values that do not go together ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("", "section [stop]", "capacity_monolayers"),
        ("[stop]\n", "would never end", "wall_time_s"),
        (
            MINIMAL + '[system]\nboundary = "periodic"\n',
            "current_density_mA_cm2 = 0.5",
            "Set current_density_mA_cm2 = 0",
        ),
        (
            MINIMAL + "[acceleration]\nmax_hops_per_strip_per_site = 1e5\nsaddle_floor_eV = 0.2\n",
            "exclude each other",
            "Keep one",
        ),
        (
            MINIMAL + "[acceleration]\nslow_down_by = 1e5\nsaddle_floor_eV = 0.2\n",
            "exclude each other",
            "Keep one",
        ),
        (
            MINIMAL + "[acceleration]\nsuperbasins = 1\n",
            "superbasins = 1 in section [acceleration] of",
            "",
        ),
        (
            MINIMAL + '[acceleration]\nsuperbasins = true\n[system]\nlattice = "bcc_110"\n'
            "[conditions]\nstack_pressure_MPa = 1.0\n",
            'cannot be combined with lattice = "bcc_110"',
            "acceleration.superbasins=false",
        ),
        (
            MINIMAL + '[acceleration]\nsuperbasins = true\n[system]\nparams = "limg_li2s"\n'
            "mg_coverage_L1 = 0.5\n",
            "mg_coverage_L1 = 0.5",
            "pure Li",
        ),
        (
            MINIMAL + "[output]\nsample_every_s = 1\nsample_every_events = 1\n",
            "sample_every_events",
            "Keep one",
        ),
        (
            MINIMAL + "[output]\nframe_every_s = 1\nframe_every_monolayers = 1\n",
            "frame_every_monolayers",
            "Keep one",
        ),
        (
            MINIMAL + "[conditions]\ncurrent_density_mA_cm2 = 0\n"
            "[acceleration]\nmax_hops_per_strip_per_site = 1e5\n",
            "max_hops_per_strip_per_site = 1e5",
            "saddle_floor_eV",
        ),
        (
            MINIMAL + "[conditions]\ncurrent_density_mA_cm2 = 0\n"
            "[output]\nsample_every_monolayers = 1\n",
            "sample_every_monolayers = 1.0",
            "sample_every_events",
        ),
        (
            "[conditions]\ncurrent_density_mA_cm2 = 0\n"
            "[stop]\ncapacity_monolayers = 1\noverpotential_V = 0.1\n",
            "only capacity_monolayers, overpotential_V",
            "events, time_s, wall_time_s",
        ),
        (
            "[conditions]\ncurrent_density_mA_cm2 = 0\n[stop]\ncontact_fraction = 0.5\n",
            "may never end",
            "events, time_s, wall_time_s",
        ),
        (
            MINIMAL + '[conditions]\ncurrent_density_mA_cm2 = 0\n[system]\nboundary = "periodic"\n',
            "nothing can happen",
            "vacancy_fraction",
        ),
        (
            MINIMAL + "[conditions]\ncurrent_density_mA_cm2 = 0\nelectrode_thickness_um = inf\n",
            "nothing can happen",
            "vacancy_fraction",
        ),
        (MINIMAL + "[system]\nmg_fraction = 0.03\n", "'li_li2s' has no Mg", '"limg_li2s"'),
        (MINIMAL + "[system]\nmg_coverage_L1 = 0.5\n", "'li_li2s' has no Mg", '"limg_li2s"'),
        (
            MINIMAL + '[system]\nparams = "limg_li2s"\nmg_coverage_L1 = "equilibrium"\n',
            "needs Mg in the bulk",
            "mg_fraction above 0",
        ),
        (MINIMAL + '[system]\nparams = "li_lis2"\n', 'params = "li_lis2"', "'li_li2s'"),
        (MINIMAL + '[system]\nlattice = "bcc_101"\n', 'lattice = "bcc_101"', "bcc_110"),
        (MINIMAL + '[system]\nparams = "nix.toml"\n', "nix.toml: no such file", "Give the path"),
    ],
)
def test_values_that_do_not_go_together(write, text, message, advice):
    path = write(text)
    error = refusal(path)
    assert message in error.message
    assert str(path) in error.message
    assert advice in (error.advice or "")


def periodic(**system):
    lines = "".join(f"{key} = {value}\n" for key, value in system.items())
    return (
        f'{MINIMAL}[conditions]\ncurrent_density_mA_cm2 = 0\n[system]\nboundary = "periodic"\n'
        f"vacancy_fraction = 0.01\n{lines}"
    )


def test_bulk_run_without_current_is_legal(write):
    run = load_run(write(periodic()))
    assert run.conditions.current_density_mA_cm2 == 0
    assert run.system.vacancy_fraction == 0.01


def test_relaxation_at_the_interface_is_legal(write):
    text = MINIMAL + "[conditions]\ncurrent_density_mA_cm2 = 0\n[system]\nvacancy_fraction = 0.01\n"
    assert load_run(write(text)).system.boundary == "interface"


def test_periodic_box_must_close(write):
    error = refusal(write(periodic(size="[8, 8, 9]")))
    assert "9 layers do not close" in error.message
    assert "section [system]" in error.message
    assert "8 or 10 layers" in error.advice


def test_no_interface_in_a_periodic_box(write):
    error = refusal(write(periodic(params='"limg_li2s"', mg_coverage_L1=0.5)))
    assert "needs an interface" in error.message
    error = refusal(write(periodic()), {"conditions.sink_depth_um": 5.0})
    assert '5.0 needs an interface, and boundary is "periodic"' in str(error)
    error = refusal(write(periodic()), {"stop.contact_fraction": 0.5})
    assert "needs an interface" in error.message


def test_excluded_key_of_the_file_can_be_dropped(write):
    path = write(MINIMAL + "[acceleration]\nmax_hops_per_strip_per_site = 1e5\n")
    key = "acceleration.saddle_floor_eV"
    error = refusal(path, {key: 0.3}, origins={key: f"--set {key}=0.3"})
    assert f"in --set {key}=0.3" in error.message
    assert "--set acceleration.max_hops_per_strip_per_site=none" in error.advice


def test_largest_size_that_can_be_numbered(write, monkeypatch):
    monkeypatch.setattr("kmc.runfile.checks.machine_bytes", lambda: None)
    # A bcc_110 layer has two sites a cell: the same size is 2^31 sites and more.
    load_run(write(MINIMAL + "[system]\nsize = [9000, 9000, 24]\n"))
    error = refusal(write(MINIMAL + '[system]\nsize = [9000, 9000, 24]\nlattice = "bcc_110"\n'))
    assert "3888000000 sites" in error.message


def test_more_than_the_memory_of_the_machine(write, monkeypatch):
    monkeypatch.setattr("kmc.runfile.checks.machine_bytes", lambda: 8 * 10**9)
    load_run(write(MINIMAL + "[system]\nsize = [1000, 1000, 80]\n"))
    error = refusal(write(MINIMAL + "[system]\nsize = [1000, 1000, 1000]\n"))
    assert "1000000000 sites, about 90 GB of memory, and this machine has 8 GB" in error.message
    assert "About 88888888 sites fit" in error.advice


@pytest.mark.parametrize(
    ("stop", "output", "said"),
    [
        ("events = 1e12", "sample_every_events = 100", "1.0e+10 samples"),
        ("events = 1e12", "frame_every_events = 100", "1.0e+10 frames"),
        ("time_s = 1.0", "sample_every_s = 1e-12", "1.0e+12 samples"),
        ("capacity_monolayers = 1e4", "frame_every_monolayers = 1e-5", "1.0e+9 frames"),
    ],
)
def test_more_records_than_a_disk_holds(write, stop, output, said):
    text = f"[stop]\n{stop}\n[output]\n{output}\n"
    error = refusal(write(text))
    assert said.replace("e+9", "e+09") in error.message
    least = float(error.advice.split()[1])
    key = output.split()[0]
    load_run(write(f"[stop]\n{stop}\n[output]\n{key} = {least}\n"))
    load_run(write(text.replace("[output]", "wall_time_s = 60.0\n[output]")))


def test_frames_of_a_large_box_weigh_more(write):
    text = "[stop]\nevents = 1e9\n[output]\nframe_every_events = 1000\n[system]\nsize = "
    load_run(write(text + "[32, 32, 24]\n"))
    assert "1.0e+06 frames" in refusal(write(text + "[1000, 1000, 80]\n")).message


def test_a_run_made_in_python_is_checked_the_same():
    with pytest.raises(InputError, match="would never end"):
        checked_run({})


# --- --set ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("random.seed=3", "random.seed", 3),
        ("stop.events=1e6", "stop.events", 1e6),
        ("conditions.electrode_thickness_um=inf", "conditions.electrode_thickness_um", math.inf),
        ("system.size=[48, 48, 24]", "system.size", [48, 48, 24]),
        ("system.lattice=bcc_110", "system.lattice", "bcc_110"),
        ('system.lattice="bcc_110"', "system.lattice", "bcc_110"),
        ("system.params=./my set.toml", "system.params", "./my set.toml"),
        ("system.mg_coverage_L1 = equilibrium", "system.mg_coverage_L1", "equilibrium"),
        ("system.mg_coverage_L1=none", "system.mg_coverage_L1", None),
        ("a.b=true", "a.b", True),
        ("a.b=-5", "a.b", -5),
    ],
)
def test_parse_override(text, key, value):
    assert parse_override(text) == (key, value)
    assert type(parse_override(text)[1]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("random.seed", "has no '='"),
        ("=3", "has no key before"),
        ("random.seed=", "has no value after"),
        ("random.seed=  ", "has no value after"),
        ("system.size=[1, 2", "is not a TOML value"),
        ("system.params='li", "is not a TOML value"),
        ("a.b=1\nc = 2", "is not a TOML value"),
        ("a.b=x=y", "is not a TOML value"),
    ],
)
def test_parse_override_refused(text, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        parse_override(text)
    assert f"--set {text}" in caught.value.message
    assert caught.value.advice


def test_doctests():
    assert doctest.testmod(load).failed == 0


# --- a voltage, and pressure ----------------------------------------------------------------------


def test_a_voltage_is_held_instead_of_a_current(write):
    run = load_run(write("[conditions]\noverpotential_V = 0.02\n" + "[stop]\nevents = 9\n"))
    assert run.conditions.overpotential_V == 0.02
    assert run.cadence("sample").unit == "s"  # by charge its rows would be rare moments
    assert run.resolved()["conditions"]["current_density_mA_cm2"] == 0.0


def test_a_voltage_and_a_current_exclude_each_other(write):
    text = "[conditions]\noverpotential_V = 0.02\ncurrent_density_mA_cm2 = 0.5\n" + MINIMAL
    error = refusal(write(text))
    assert "overpotential_V = 0.02" in str(error)
    assert "current_density_mA_cm2 = 0.5" in str(error)
    assert "exclude each other" in str(error)
    run = load_run(write(text), {"conditions.overpotential_V": None})
    assert run.conditions.current_density_mA_cm2 == 0.5


def test_exchange_goes_with_a_given_current(write):
    run = load_run(write("[conditions]\nexchange = true\n" + MINIMAL))
    assert run.conditions.exchange
    held = refusal(write("[conditions]\nexchange = true\noverpotential_V = 0.02\n" + MINIMAL))
    assert "exchange = true" in str(held)
    assert "a held voltage strips and plates anyway" in str(held)
    idle = "[conditions]\nexchange = true\ncurrent_density_mA_cm2 = 0\n" + MINIMAL
    assert "needs a current above 0" in str(refusal(write(idle)))


@pytest.mark.parametrize(
    ("key", "value"), [("contact_pattern_um", "0"), ("series_resistance_ohm_cm2", "-1")]
)
def test_what_lies_before_the_interface_is_checked(write, key, value):
    error = refusal(write(f"[conditions]\n{key} = {value}\n" + MINIMAL))
    assert f"{key} = {value}" in str(error)
    assert "out of range" in str(error)


def test_a_voltage_needs_an_interface(write):
    text = '[system]\nboundary = "periodic"\nvacancy_fraction = 0.01\n'
    error = refusal(write(text + "[conditions]\noverpotential_V = 0.02\n" + MINIMAL))
    assert "overpotential_V = 0.02" in str(error)
    assert "needs an interface" in str(error)


def test_pressure_needs_metal_above_the_box(write):
    text = '[system]\nboundary = "periodic"\nvacancy_fraction = 0.01\n[conditions]\n'
    text += "current_density_mA_cm2 = 0\nstack_pressure_MPa = 1\n" + MINIMAL
    error = refusal(write(text))
    assert "stack_pressure_MPa = 1" in str(error)
    assert "no metal above the box" in str(error)


def test_half_characters_are_refused_in_words():
    """Bytes that are no text reach Python as lone surrogates; messages spell them out."""
    with pytest.raises(InputError) as caught:
        load_run("strip_li", {"interface.patches": ["\ud800"]})
    assert "\\ud800" in str(caught.value)
    str(caught.value).encode("utf-8")


# --- what is typed, and what it means ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("conditions.current_density_mA_cm2=1 mA/cm2", 1),
        ("conditions.current_density_mA_cm2=0.5 mA/cm²", 0.5),
        ("conditions.current_density_mA_cm2=0.5mA/cm^2", 0.5),
        ("conditions.temperature_K=333.15 K", 333.15),
        ("conditions.sink_length_um=5 μm", 5),
        ("stop.capacity_monolayers=1 monolayer", 1),
    ],
)
def test_a_number_may_have_the_unit_of_its_key(text, value):
    assert parse_override(text)[1] == value


@pytest.mark.parametrize(
    ("text", "message", "advice"),
    [
        ("conditions.current_density_mA_cm2=1 A/m2", "is in A/m2, and", "in mA/cm²"),
        ("conditions.temperature_K=60 °C", "is in °C, and temperature_K in K", "the value in K"),
        ("conditions.temperature_K=333,15", "decimal comma", "conditions.temperature_K=333.15"),
    ],
)
def test_another_unit_and_a_decimal_comma_are_named(text, message, advice):
    with pytest.raises(InputError) as caught:
        parse_override(text)
    assert message in caught.value.message
    assert advice in caught.value.advice


def test_a_charge_given_replaces_that_of_the_file():
    """Both would act, the nearer first: 2 monolayers are 14 000 times less than 1 mAh/cm²."""
    stop = load_run("strip_li", {"stop.capacity_mAh_cm2": 1}).stop
    assert (stop.capacity_mAh_cm2, stop.capacity_monolayers) == (1.0, None)
    both = {"stop.capacity_mAh_cm2": 1, "stop.capacity_monolayers": 3}
    assert load_run("strip_li", both).stop.capacity_monolayers == 3
    other = load_run("strip_li", {"stop.contact_fraction": 0.3}).stop
    assert (other.contact_fraction, other.capacity_monolayers) == (0.3, 2.0)


def test_the_template_of_a_cell_runs_as_cell_li_does(write):
    """Every key of the shipped run is set in it, with its value, and no key of a box of atoms."""
    made, shipped = load_run(write(template(scale="cell"))), load_run("cell_li")
    assert made.kind == "population"
    assert made.resolved() == shipped.resolved()
    assert "size =" not in template(scale="cell")
    assert "rounding_length_um = 1.8" in template(scale="cell")


def test_sets_of_a_cathode_are_found_beside_its_run_file(write, tmp_path):
    (tmp_path / "set.toml").write_text(catalogue.locate("params", "li2se").read_text("utf-8"))
    sets = 'lithiated_params = "set.toml"\nframe_params = "mo6se8"\n'
    run = load_run(write(f'[system]\nparams = "se"\n[cathode]\n{sets}'))
    assert run.cathode.lithiated_params == str(tmp_path / "set.toml")
    assert run.cathode.frame_params == "mo6se8"
