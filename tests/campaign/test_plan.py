"""Sweep files: what they ask for, what is refused, and what stays the same when they grow."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from kmc.campaign import plan as plan_module
from kmc.campaign.plan import MAX_SEED, Plan, read_plan
from kmc.errors import InputError
from kmc.runfile.load import load_run
from kmc.runfile.run_file import RunFile

GRID = """
run = "strip_li"
replicas = 2
seed = 7
[grid]
"conditions.temperature_K" = [298.15, 333.15]
"parameters.second_shell_ratio" = [0.4, 0.5, 0.6]
[zip]
"conditions.current_density_mA_cm2" = [0.25, 0.5]
"stop.capacity_monolayers" = [1, 2]
[set]
"system.size" = [8, 8, 8]
"""


@pytest.fixture
def plan_of(tmp_path):
    def read(text: str) -> Plan:
        path = tmp_path / "study.toml"
        path.write_text(text, encoding="utf-8")
        return read_plan(path)

    return read


def grid(line: str, more: str = "") -> str:
    return f'run = "strip_li"\n{more}\n[grid]\n{line}\n'


# --- points ---------------------------------------------------------------------------------------


def test_points_in_the_order_of_the_grid_replicas_fastest(plan_of):
    plan = plan_of(GRID)
    assert list(plan.axes) == ["conditions.temperature_K", "parameters.second_shell_ratio", "zip"]
    assert plan.axes["zip"][1] == {
        "conditions.current_density_mA_cm2": 0.5,
        "stop.capacity_monolayers": 2,
    }
    assert len(plan.points) == 2 * 3 * 2 * 2
    assert [point.index for point in plan.points] == list(range(24))
    assert [point.replica for point in plan.points[:4]] == [0, 1, 0, 1]
    assert plan.points[2].settings["stop.capacity_monolayers"] == 2
    assert plan.points[-1].settings["conditions.temperature_K"] == 333.15
    assert plan.points[0].name == (
        "temperature_K=298.15,second_shell_ratio=0.4,current_density_mA_cm2=0.25,"
        "capacity_monolayers=1,r1"
    )


def test_toml_keys_with_and_without_quotes_are_the_same(plan_of):
    quoted = plan_of(grid('"conditions.temperature_K" = [300, 310]'))
    dotted = plan_of(grid("conditions.temperature_K = [300, 310]"))
    assert quoted.points == dotted.points


def test_without_axes_there_are_replicas_alone(plan_of):
    plan = plan_of('run = "strip_li"\nreplicas = 3')
    assert [point.name for point in plan.points] == ["r1", "r2", "r3"]
    assert len({point.seed for point in plan.points}) == 3


def test_more_values_and_replicas_leave_the_points_that_were_there(plan_of):
    small = plan_of(grid('"conditions.temperature_K" = [300, 310]', "replicas = 2"))
    large = plan_of(grid('"conditions.temperature_K" = [290, 310.0, 305, 300]', "replicas = 3"))
    seeds = {point.name: point.seed for point in large.points}
    assert all(seeds[point.name] == point.seed for point in small.points)
    assert len(set(seeds.values())) == 12


def test_seeds_follow_from_the_seed_of_the_sweep(plan_of):
    one, two = (plan_of(grid('"conditions.temperature_K" = [300]', f"seed = {s}")) for s in (1, 2))
    assert one.points[0].seed != two.points[0].seed
    assert 0 <= one.points[0].seed <= MAX_SEED


def test_seed_of_a_point_never_changes(plan_of):
    """What has been computed with this version must be found again by the next."""
    plan = plan_of(grid('"conditions.temperature_K" = [300]'))
    assert plan.points[0].seed == 4240565138321216


def test_a_point_is_a_run_file_of_its_own(plan_of, tmp_path):
    plan = plan_of(GRID)
    point = plan.points[-1]
    file = tmp_path / "point.toml"
    file.write_text(plan.run_toml(point), encoding="utf-8")
    run = load_run(file)
    assert run.random.seed == point.seed
    assert run.system.size == (8, 8, 8)
    assert run.parameters == {"second_shell_ratio": 0.6}
    base = load_run("strip_li", {**plan.fixed, **point.settings, "random.seed": point.seed})
    assert run.resolved() == base.resolved()


def test_none_removes_a_key(plan_of):
    plan = plan_of(
        'run = "strip_li"\n[set]\n"acceleration.max_hops_per_strip_per_site" = "none"\n'
        '[grid]\n"acceleration.saddle_floor_eV" = [0.3, "none"]\n"stop.events" = [100]'
    )
    tables = [plan.run_tables(point)["acceleration"] for point in plan.points]
    assert tables == [{"saddle_floor_eV": 0.3}, {}]


def test_names_are_safe_and_distinct(plan_of):
    plan = plan_of(grid('"system.size" = [[8, 8, 8], [8, 10, 8]]\n"system.lattice" = ["bcc_100"]'))
    names = [point.name for point in plan.points]
    assert len(set(names)) == 2
    assert all(name.isascii() and "/" not in name and " " not in name for name in names)


def test_a_long_name_is_cut(plan_of):
    keys = [
        '"conditions.temperature_K" = [300.123456789]',
        '"conditions.current_density_mA_cm2" = [0.123456789012]',
        '"conditions.electrode_thickness_um" = [12.3456789012]',
        '"acceleration.max_hops_per_strip_per_site" = [123456.789]',
    ]
    (point,) = plan_of(grid("\n".join(keys))).points
    assert len(point.name) < 120


def test_files_are_those_beside_the_sweep_file(plan_of, tmp_path, monkeypatch):
    base = tmp_path / "mine.toml"
    base.write_text('[stop]\nevents = 10\n[system]\nparams = "own.toml"', encoding="utf-8")
    source = load_run("strip_li").parameter_set()
    shipped = Path(source._origin).read_text(encoding="utf-8")
    (tmp_path / "own.toml").write_text(shipped, encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    plan = plan_of('run = "mine.toml"\n[grid]\n"conditions.temperature_K" = [300]')
    (used,) = [name for name in plan.inputs if name.endswith("own.toml")]
    assert tomllib.loads(plan.run_toml(plan.points[0]))["system"]["params"] == used


@pytest.mark.slow
def test_ten_thousand_points_take_little_work(plan_of, monkeypatch):
    """Whole runs are checked for some of them only; the other values by themselves."""
    checked = []

    def counted(*arguments, **options):
        checked.append(arguments)
        return load_run(*arguments, **options)

    monkeypatch.setattr(plan_module, "load_run", counted)
    values = ", ".join(f"{300 + k / 100}" for k in range(1000))
    plan = plan_of(grid(f'"conditions.temperature_K" = [{values}]', "replicas = 10"))
    assert len(plan.points) == 10_000
    assert 0 < len(checked) <= plan_module._FULLY_CHECKED + 10


def test_json_and_back(plan_of):
    plan = plan_of(GRID)
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())), plan.text)
    assert again == plan
    assert again.points == plan.points


# --- refusals -------------------------------------------------------------------------------------

REFUSED = {
    "empty": ("", "does not name a run"),
    "no text": ("run = 3", "run in .* must be text"),
    "unknown run": ('run = "strip_lee"', "Did you mean 'strip_li'"),
    "unknown file": ('run = "nowhere.toml"', "no such file"),
    "unknown section": ('run = "strip_li"\n[grit]', "Did you mean 'grid'"),
    "key without section": ('run = "strip_li"\n"conditions.temperature_K" = [1]', "below"),
    "a run file": ("[conditions]\ntemperature_K = 300", "is a run file"),
    "grid is a number": ('run = "strip_li"\ngrid = 3', "must be a section"),
    "grid is a list of tables": ('run = "strip_li"\n[[grid]]\na = 1', "must be a section"),
    "replicas 0": ('run = "strip_li"\nreplicas = 0', "replicas = 0"),
    "replicas true": ('run = "strip_li"\nreplicas = true', "replicas = true"),
    "seed negative": ('run = "strip_li"\nseed = -1', "seed = -1"),
    "too many": ('run = "strip_li"\nreplicas = 100000\n[grid]\n"stop.events" = [1, 2]', "200000"),
    "no dot": (grid("temperature_K = [300]"), "does not name a section and a key"),
    "unknown key": (grid('"conditions.temprature_K" = [300]'), "Did you mean 'temperature_K'"),
    "unknown sect": (grid('"condition.temperature_K" = [300]'), "Did you mean 'conditions'"),
    "unknown parameter": (grid('"parameters.barier_Li_eV" = [1]'), "Did you mean 'barrier_Li_eV'"),
    "parameter out of range": (grid('"parameters.second_shell_ratio" = [0.5, 9]'), "out of range"),
    "parameter text": (grid('"parameters.second_shell_ratio" = ["a"]'), "must be a number"),
    "parameter not in the set": (grid('"parameters.barrier_Mg_eV" = [0.1]'), "is not a quantity"),
    "no list": (grid('"conditions.temperature_K" = 300'), "must be a list"),
    "empty list": (grid('"conditions.temperature_K" = []'), "empty list"),
    "twice": (grid('"conditions.temperature_K" = [300, 300.0]'), "twice"),
    "out of range": (grid('"conditions.temperature_K" = [300, -5]'), "temperature_K = -5"),
    "text": (grid('"conditions.temperature_K" = ["warm"]'), "must be a number"),
    "date": (grid('"conditions.temperature_K" = [2020-01-01]'), "must be a number, not a date"),
    "table": (grid('"conditions.temperature_K" = [{a = 1}]'), "must be a number, not a table"),
    "nan": (grid('"conditions.temperature_K" = [nan]'), "temperature_K"),
    "huge": (grid(f'"conditions.temperature_K" = [0x{"f" * 6000}]'), "temperature_K"),
    "huge digits": (grid(f'"conditions.temperature_K" = [{"9" * 6000}]'), "not valid TOML"),
    "deep": (grid(f'"system.size" = [{"[" * 3000}{"]" * 3000}]'), "TOML|size|deep"),
    "seed as an axis": (grid('"random.seed" = [1, 2]'), "seed of its own"),
    "params unknown": (grid('"system.params" = ["li_li2s", "nope"]'), "nope"),
    "zip of different lengths": (
        'run = "strip_li"\n[zip]\n"stop.events" = [1]\n"conditions.temperature_K" = [1, 2]',
        "differ in length",
    ),
    "grid and set": (
        grid('"stop.events" = [5]') + '[set]\n"stop.events" = 6',
        r"in \[grid\] and in \[set\]",
    ),
    "bad set": ('run = "strip_li"\n[set]\n"system.size" = [1, 2]', "entry 1: 1 is out of range"),
    "impossible together": (
        grid('"conditions.current_density_mA_cm2" = [0.5, 0]').replace("strip_li", "strip_li_hops"),
        "needs a current above 0",
    ),
    "three levels": (grid("conditions.a.b = [1]"), "not a known key|must be a list"),
    "no toml": ("run = ", "not valid TOML"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_plain_words(plan_of, name):
    text, message = REFUSED[name]
    with pytest.raises(InputError, match=message):
        plan_of(text)


def test_every_value_of_a_large_grid_is_checked(plan_of):
    values = ", ".join(str(300 + k / 10) for k in range(900))
    with pytest.raises(InputError, match="temperature_K = -1"):
        plan_of(grid(f'"conditions.temperature_K" = [{values}, -1.0, 400]', "replicas = 3"))


def test_a_name_that_does_not_exist():
    with pytest.raises(InputError, match="no such file"):
        read_plan("nowhere/at_all.toml")


def test_the_time_of_a_shipped_run_is_guessed_within_a_factor_of_three(tmp_path):
    """strip_li_hops is 16.5 million events, whatever the machine."""
    from kmc.campaign.plan import estimate
    from kmc.systems.electrode import cost

    file = tmp_path / "one.toml"
    file.write_text('run = "strip_li_hops"\n', encoding="utf-8")
    plan = read_plan(file)
    (point,) = plan.points
    assert 1 / 3 < cost.events(RunFile.model_validate(plan.run_tables(point))) / 16.5e6 < 3
    found = estimate(plan, plan.points, None)
    assert found.compute_s == pytest.approx(0.25 + 4e-7 * 16.5e6, rel=0.5)


def test_the_time_of_replicas_is_estimated_once(tmp_path, monkeypatch):
    """A dry run of 40 000 points, 100 of each setting, took 24 s."""
    from kmc.campaign import plan as module

    file = tmp_path / "many.toml"
    file.write_text(
        'run = "strip_li"\nreplicas = 50\n[grid]\n"stop.capacity_monolayers" = [0.1, 0.2]\n'
    )
    plan = read_plan(file)
    asked, box = [], module.SYSTEMS["electrode"]
    counting = replace(box, seconds=lambda run: asked.append(1) or box.seconds(run))
    monkeypatch.setitem(module.SYSTEMS, "electrode", counting)
    cost = module.estimate(plan, plan.points, None)
    assert len(asked) == 2
    runs = (RunFile.model_validate(plan.run_tables(plan.points[i])) for i in (0, 50))
    one, two = map(box.seconds, runs)
    assert cost.compute_s == pytest.approx(50 * (one + two) + 0.25 * 100)


# Events of shipped runs in smaller boxes, counted in such runs: whatever the machine.
EVENTS = {
    "strip_limg": ("[24, 24, 16]", 1.67e6),  # Mg at the interface keeps vacancies away
    "face_111": ("[14, 8, 40]", 2.81e6),  # two sites a cell and layer
    "pressure_1": ("[24, 24, 16]", 9.94e6),
    "lithiophilic": ("[20, 20, 16]", 1.53e6),
    "rest_li": ("[32, 32, 12]", 6.19e6),  # nearly all of them in the rest
}


@pytest.mark.parametrize("name", EVENTS)
def test_so_is_that_of_alloys_faces_and_rests(name, tmp_path):
    from kmc.systems.electrode import cost

    size, events = EVENTS[name]
    file = tmp_path / "one.toml"
    text = f'run = "{name}"\n[set]\n"system.size" = {size}\n'
    if load_run(name).acceleration.max_hops_per_strip_per_site == math.inf:
        text += '"acceleration.max_hops_per_strip_per_site" = 1e6\n'  # as they were counted
    file.write_text(text, encoding="utf-8")
    plan = read_plan(file)
    run = RunFile.model_validate(plan.run_tables(plan.points[0]))
    assert 1 / 3 < cost.events(run) / events < 3


def test_the_size_of_a_box_s_file_is_guessed_within_a_factor(tmp_path):
    """Half of what was written was said, as its empty file has grown since that was measured."""
    import fake

    from kmc.systems import SYSTEMS

    path = fake.write(tmp_path / "one.h5", box=fake.lattice(cells=(24, 24), layers=16), n_frames=12)
    tables = {"system": {"size": [24, 24, 16]}, "stop": {"capacity_monolayers": 2.0}}
    guessed = SYSTEMS["electrode"].file_bytes(RunFile.model_validate(tables))
    assert 2 / 3 < guessed / path.stat().st_size < 3 / 2


# Cells of the grid, as these runs have them.
CELLS = {"cell_li": 200**2, "operando_li": 150**2, "operando_limg": 200**2}


@pytest.mark.parametrize("name", CELLS)
def test_the_grid_of_a_population_is_guessed(name):
    """Time and size go by its cells; it was taken for an area before, off by 4 to 7."""
    from kmc.systems.population.kind import _cells

    assert 2 / 3 < _cells(load_run(name).upscale) / CELLS[name] < 3 / 2


def test_grids_are_compared_with_equal_seeds_and_equal_flaws(plan_of):
    """Cells of a grid change no seed; squares and replicas do."""
    sweep = 'run = "cell_li"\nreplicas = 2\n[grid]\n"upscale.{}" = [0.2, {}]'
    seeds = [point.seed for point in plan_of(sweep.format("grid_um", 0.1)).points]
    assert seeds[:2] == seeds[2:]
    assert seeds[0] != seeds[1]
    squares = plan_of(sweep.replace("0.2", "20").format("domain_um", 40))
    assert len({point.seed for point in squares.points}) == 4
