"""The command line: what it prints, what it refuses, and what it leaves behind."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import click
import fake
import pytest
from cli_calls import call, refused

import kmc
from kmc.cli.app import main
from kmc.common import catalogue
from kmc.errors import InputError, KmcError
from kmc.runfile.load import load_run

HEAVY = ("numpy", "numba", "h5py", "pydantic", "rich", "matplotlib", "pandas", "scipy")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stand_ins(monkeypatch):
    """Modules of the run itself replaced by ones that note what they are asked for.

    Running is tested end to end elsewhere; here it must not take time.
    """
    calls = []
    finished = types.SimpleNamespace(
        stop_reason="capacity_monolayers reached 2",
        finished=True,
        kind="electrode",
        system=types.SimpleNamespace(next=()),
        metal="Li",
        summary=lambda full=False: [("Ended", "SUMMARY")],
        plot=lambda what: object(),
    )

    def run_to_file(run, output, *, overwrite, progress, kind="", check_every=None, observer=None):
        calls.append(("run", run, output, overwrite, progress))
        Path(output).write_text("trajectory")
        finished.path = Path(output)
        return finished

    def save(figure, path):
        calls.append(("picture", path))
        Path(path).write_text("picture")

    def module(name, **functions):
        made = types.ModuleType(name)
        for function, body in functions.items():
            setattr(made, function, body)
        monkeypatch.setitem(sys.modules, name, made)
        return made

    import kmc.systems.run as systems

    monkeypatch.setattr(systems, "run_to_file", run_to_file)
    modules = types.SimpleNamespace(
        run=systems,
        plotting=module("kmc.plotting", save=save),
        trajectory=module("kmc.files.reader", load=lambda path: f"trajectory of {path}"),
    )
    return types.SimpleNamespace(calls=calls, finished=finished, modules=modules)


# --- the command as a whole -----------------------------------------------------------------------


def test_version_is_that_of_the_distribution():
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    stated = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"]
    assert kmc.__version__ == stated
    assert call("--version").stdout == f"kmc {stated}\n"


def test_help_teaches():
    text = call("--help").stdout
    for part in ("kmc run strip_li", "kmc info strip_li.h5", "kmc init", "kmc.load(", "params"):
        assert part in text
    assert call("run", "-h").stdout == call("run", "--help").stdout
    assert "--set acceleration.max_hops_per_strip_per_site=1e7" in call("run", "--help").stdout


def test_every_override_in_the_help_is_accepted():
    lines = [line for line in call("run", "--help").stdout.splitlines() if "--set " in line]
    settings = [part for line in lines if "strip_li" in line for part in line.split("--set ")[1:]]
    assert len(settings) >= 4
    from kmc.runfile.load import parse_override

    for setting in settings:
        text = setting.replace('"', "").replace(" --force", "").strip()
        key, value = parse_override(text)
        overrides = {key: value} if value is not None else {key: None, "stop.events": 1}
        load_run("strip_li", overrides)


@pytest.mark.parametrize("command", ["run", "init", "info", "plot", "movie", "export", "verify"])
def test_every_command_has_help(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"Usage: main {command}" in result.stdout


def test_help_imports_nothing_heavy():
    """What makes `kmc --help` answer in well below 0.3 s."""
    code = (
        "import sys\n"
        "from kmc.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert "HEAVY []" in result.stdout, result.stdout + result.stderr


def test_unknown_command():
    assert "No such command" in refused("rum")


def test_module_can_be_run():
    command = [sys.executable, "-m", "kmc.cli", "--version"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0
    assert kmc.__version__ in result.stdout


def test_error_of_a_real_process_has_no_traceback(folder):
    command = [sys.executable, "-m", "kmc.cli", "run", "strip_li", "--set", "random.seed=-1"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        "Error: --set random.seed=-1 is out of range\nAllowed: at least 0 and at most 2^63 - 1.\n"
    )
    assert list(folder.iterdir()) == []


# --- run: refused before anything is written ------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["strip_lee"], ["'strip_lee' is not among the shipped runs", "Did you mean 'strip_li'?"]),
        (["nix.toml"], ["nix.toml: no such file"]),
        (
            ["strip_li", "--set", "conditions.temprature_K=300"],
            ["--set conditions.temprature_K=300", "Did you mean 'temperature_K'?"],
        ),
        (["strip_li", "--set", "conditons.x=1"], ["unknown section 'conditons'", "'conditions'"]),
        (["strip_li", "--set", "conditions.temperature_K"], ["has no '='", "section.key=value"]),
        (["strip_li", "--set", "temperature_K=300"], ["conditions.temperature_K?"]),
        (
            ["strip_li", "--set", 'conditions.temperature_K="300"'],
            ["must be a number, not text", "without quotes"],
        ),
        (["strip_li", "--set", "random.seed=true"], ["must be a whole number"]),
        (["strip_li", "--seed", "-1"], ["Error: --seed -1 is out of range"]),
        (["strip_li", "--seed", "x"], ["'x' is not a valid integer"]),
        (["strip_li", "--set", "system.size=[100000,100000,100]"], ["1000000000000 sites", "GB"]),
        (["strip_li", "--set", "parameters.barier_Li_eV=0.1"], ["Did you mean 'barrier_Li_eV'?"]),
        (["strip_li", "--set", "stop.capacity_monolayers=none"], ["would never end"]),
        (["strip_li", "-o", "."], ["is a folder"]),
        (["strip_li", "-o", "out.png"], ["both the file of the run and its picture"]),
        ([], ["Missing argument"]),
    ],
)
def test_run_refused(folder, arguments, parts):
    message = refused("run", *arguments)
    for part in parts:
        assert part in message
    assert list(folder.iterdir()) == []


def test_run_of_a_broken_file_names_the_line(folder):
    (folder / "mine.toml").write_text("[system]\nsize = [32, 32\n[stop]\n")
    message = refused("run", "mine.toml")
    assert message.startswith("Error: mine.toml is not valid TOML")
    assert "line" in message
    assert [path.name for path in folder.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize("name", ["strip_li.h5", "strip_li.png"])
def test_what_is_there_needs_force(folder, name):
    (folder / name).write_text("precious")
    message = refused("run", "strip_li")
    assert name in message
    assert "--force" in message
    assert (folder / name).read_text() == "precious"
    assert [path.name for path in folder.iterdir()] == [name]


def test_output_in_a_folder_that_does_not_exist(folder):
    assert "nowhere" in refused("run", "strip_li", "-o", "nowhere/out.h5")
    assert list(folder.iterdir()) == []


# --- run: what it does ----------------------------------------------------------------------------


def test_run_checks_then_runs_then_draws_then_reports(folder, stand_ins):
    result = call("run", "strip_li")
    assert result.exit_code == 0, result.output
    run, picture = stand_ins.calls
    assert run[0] == "run"
    assert run[1].name == "strip_li"
    assert run[2:] == (Path("strip_li.h5"), False, True)
    assert picture == ("picture", Path("strip_li.png"))
    assert "SUMMARY" in result.stdout
    assert "kmc info strip_li.h5" in result.stdout
    assert 'kmc.load("strip_li.h5")' in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["strip_li.h5", "strip_li.png"]


def test_run_with_options(folder, stand_ins):
    (folder / "out").mkdir()
    result = call(
        *("run", "strip_li", "-o", "out/warm.h5", "--seed", 7, "--force", "--quiet"),
        *("--set", "conditions.temperature_K=333.15", "--set", "system.size=[8, 8, 16]"),
    )
    assert result.exit_code == 0
    assert result.output == ""
    run = next(item for item in stand_ins.calls if item[0] == "run")
    assert run[2:] == (Path("out/warm.h5"), True, False)
    assert run[1].random.seed == 7
    assert run[1].conditions.temperature_K == 333.15
    assert run[1].system.size == (8, 8, 16)
    assert (folder / "out" / "warm.png").exists()


def test_the_last_of_two_settings_holds(folder, stand_ins):
    call("run", "strip_li", "--set", "random.seed=3", "--set", "random.seed=4")
    assert stand_ins.calls[0][1].random.seed == 4


@pytest.mark.parametrize(
    ("output", "picture"), [("a.h5", "a.png"), ("a.hdf5", "a.png"), ("run.v2", "run.v2.png")]
)
def test_picture_is_named_after_the_trajectory(folder, stand_ins, output, picture):
    call("run", "strip_li", "-o", output)
    assert (folder / picture).exists()


def test_a_picture_that_cannot_be_drawn_does_not_hide_the_trajectory(folder, stand_ins):
    for number, problem in enumerate((KmcError("the disk is full"), RuntimeError("no latex"))):

        def fail(trajectory, path, problem=problem):
            raise problem

        stand_ins.modules.plotting.save = fail
        result = call("run", "strip_li", "-o", f"{number}.h5")
        assert result.exit_code == 0
        reason = ("the disk is full", "RuntimeError('no latex')")[number]
        assert f"{number}.png was not drawn: {reason}" in result.stderr
    assert "kmc info 1.h5" in result.stdout
    assert "Picture" not in result.stdout


def test_failure_of_a_run_is_told_in_words(folder, stand_ins):
    def fail(*arguments, **options):
        raise KmcError("the disk is full", advice="strip_li.h5 is safe up to 1.2 s.")

    stand_ins.modules.run.run_to_file = fail
    result = call("run", "strip_li")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: the disk is full\nstrip_li.h5 is safe up to 1.2 s.\n")


@pytest.mark.parametrize("problem", [KeyboardInterrupt, MemoryError])
def test_interruption_and_lack_of_memory_are_no_tracebacks(folder, stand_ins, problem):
    def fail(*arguments, **options):
        raise problem

    stand_ins.modules.run.run_to_file = fail
    result = call("run", "strip_li")
    assert result.exit_code == {KeyboardInterrupt: 130, MemoryError: 1}[problem]
    assert "Traceback" not in result.output
    assert result.stderr.strip()


def test_an_interrupted_run_says_so_to_the_shell(folder, stand_ins):
    stand_ins.finished.stop_reason = "interrupted"
    stand_ins.finished.finished = False
    result = call("run", "strip_li")
    assert result.exit_code == 130
    assert "SUMMARY" in result.stdout


def test_info(tmp_path):
    result = call("info", str(fake.write(tmp_path / "some.h5")))
    assert result.exit_code == 0
    assert "some.h5" in result.stdout


# --- init -----------------------------------------------------------------------------------------


def test_init_writes_a_run_file_that_loads(folder):
    result = call("init")
    assert result.exit_code == 0
    assert "kmc run run.toml" in result.stdout
    assert [path.name for path in folder.iterdir()] == ["run.toml"]
    assert load_run("run.toml").name == "run"


def test_init_with_a_name(folder):
    assert call("init", "study.toml").exit_code == 0
    assert "kmc run study.toml" in (folder / "study.toml").read_text(encoding="utf-8")


def test_init_to_standard_output(folder):
    result = call("init", "-")
    assert tomllib.loads(result.stdout)["system"]["params"] == "li_li2s"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("scale", ["atoms", "cell"])
def test_a_template_takes_its_steps_as_it_says(scale, folder):
    text = call("init", "-", "--scale", scale).stdout
    text = re.sub(r"(?m)^(current_density_mA_cm2|capacity_|time_s)", r"# \1", text)
    text = re.sub(r"(?m)^# {5}(\[\[protocol|steps? =|repeat)", r"\1", text)
    (folder / "steps.toml").write_text(text, encoding="utf-8")
    assert len(load_run("steps.toml").protocol.plan) == 21


def test_init_marks_what_is_of_lithium_in_a_cell_of_sodium(folder):
    options = ("--scale", "cell", "--set", "system.params=na_nasicon")
    said = call("init", "na.toml", *options, "--set", "upscale.flaw_radius_nm=30").stdout
    assert "Of lithium cells, to be replaced by those of yours: flaw_density_per_um2" in said
    text = (folder / "na.toml").read_text(encoding="utf-8")
    run = tomllib.loads(text)
    assert (run["system"]["params"], run["upscale"]["flaw_radius_nm"]) == ("na_nasicon", 30)
    # Density, rounding and series resistance; the radius was given.
    assert text.count("# OF LITHIUM CELLS") == 3
    assert "LITHIUM CELLS" not in call("init", "-", "--scale", "cell").stdout
    assert "unknown section" in refused("init", "x.toml", "--set", "upscal.a=1")


def test_init_leaves_greek_letters_as_they_are(folder):
    text = call("init", "-", "--scale", "cell").stdout
    assert "\n# αG of Taylor's law" in text
    assert "\n# Temperature" in text


def test_init_overwrites_only_with_force(folder):
    (folder / "run.toml").write_text("precious")
    assert "--force" in refused("init")
    assert (folder / "run.toml").read_text() == "precious"
    assert call("init", "--force").exit_code == 0
    assert "[system]" in (folder / "run.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("run.txt", "ends in .txt"),
        ("nowhere/run.toml", "there is no folder"),
        ("folder.toml", "is a folder"),
    ],
)
def test_init_refused(folder, file, part):
    (folder / "folder.toml").mkdir()
    assert part in refused("init", file)
    assert [path.name for path in folder.iterdir()] == ["folder.toml"]


# --- params and runs ------------------------------------------------------------------------------


def test_params_list():
    text = call("params", "list").stdout
    for name in catalogue.names("params"):
        assert name in text


def test_params_show_has_unit_source_and_what_is_assumed():
    text = call("params", "show", "li_li2s", "--no-notes").stdout
    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert lines["formation_energy_L1_eV"] == ["0.28", "eV", "S4"]
    assert lines["second_shell_ratio"] == ["0.5", "1", "assumed"]
    assert lines["attempt_frequency_Hz"] == ["2.6e12", "Hz", "S4,", "assumed"]
    assert "10 of 21 values are assumed" in text
    assert "Fig. 2c" not in text
    assert "Fig. 2c" in call("params", "show", "li_li2s").stdout


def test_params_of_an_own_file(folder):
    own = catalogue.locate("params", "li_li2s").read_text(encoding="utf-8")
    (folder / "own.toml").write_text(own.replace('"li_li2s"', '"own"'), encoding="utf-8")
    assert call("params", "show", "own.toml").stdout.startswith("own: ")


def test_params_cite():
    text = call("params", "cite", "limg_li2s").stdout
    assert "https://doi.org/10.1038/s41467-025-59567-8" in text
    assert "fill_Mg_near_Mg_eV" in text
    assert "Assumed, without a reference: second_shell_ratio" in text
    entry = call("params", "cite", "limg_li2s", "--bibtex").stdout
    assert entry.startswith("@article{S4,")
    assert entry.count("{") == entry.count("}")


@pytest.mark.parametrize("command", ["show", "check", "cite"])
def test_params_of_an_unknown_set(command):
    message = refused("params", command, "li_li2")
    assert "Did you mean 'li_li2s'?" in message


def test_params_check_tells_dft_model_and_difference():
    text = call("params", "check", "li_li2s").stdout
    assert "li_li2s on bcc_100" in text
    row = next(line for line in text.splitlines() if line.startswith("vacancy in L1"))
    assert "0.2800" in row
    assert row.split()[-1] == "ok"
    assert "DFT" in text


def test_params_check_on_another_lattice():
    assert "li_li2s on bcc_110" in call("params", "check", "li_li2s", "--lattice", "bcc_110").stdout
    message = refused("params", "check", "li_li2s", "--lattice", "bcc_11")
    assert "'bcc_11' is not among the shipped lattices" in message


def test_runs_list():
    lines = call("runs", "list").stdout.splitlines()
    kinds = ("runs", "studies", "calibrations")
    assert len(lines) == sum(len(catalogue.names(kind)) for kind in kinds)
    assert any(line.startswith("strip_li ") and "Strip lithium" in line for line in lines)
    assert any(line.startswith("study_temperature ") and "Study: " in line for line in lines)


# --- the package ----------------------------------------------------------------------------------


def test_python_run_writes_where_the_command_does(folder, stand_ins):
    trajectory = kmc.run("strip_li", {"random.seed": 9}, progress=False)
    assert trajectory is stand_ins.finished
    (run,) = stand_ins.calls
    assert run[1].random.seed == 9
    assert run[2:] == (Path("strip_li.h5"), False, False)


def test_python_run_with_output(folder, stand_ins):
    kmc.run("strip_li", output="a.h5", overwrite=True)
    assert stand_ins.calls[0][2:] == (Path("a.h5"), True, True)


def test_python_run_refuses_like_the_command(folder, stand_ins):
    with pytest.raises(InputError, match=r"overrides\['random.seed'\] = -1 is out of range"):
        kmc.run("strip_li", {"random.seed": -1})
    assert stand_ins.calls == []


def test_package_is_lazy():
    code = f"import kmc, sys; print([name for name in {HEAVY} if name in sys.modules], dir(kmc))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.startswith("[]")
    for name in ("load", "run", "Simulation", "__version__"):
        assert repr(name) in result.stdout


def test_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = kmc.lod


def test_commands_are_click_commands():
    assert isinstance(main, click.Group)
    assert {"run", "init", "info", "plot", "movie", "export", "params", "runs"} <= set(
        main.commands
    )


def test_a_key_given_twice_is_said(folder, stand_ins):
    result = call("run", "strip_li", "--set", "random.seed=1", "--set", "random.seed=2")
    assert "random.seed is given twice: random.seed=2 counts" in result.stderr
    assert stand_ins.calls[0][1].random.seed == 2


def test_the_nearest_stop_is_named_before_the_run(folder, stand_ins):
    result = call("run", "strip_li", "--set", "stop.contact_fraction=0.3")
    said = result.stderr.replace("\u00a0", " ")
    assert "strip_li ends at 2 monolayers (7.24e-5 mAh/cm²), or earlier when contact" in said
    assert "of processor" in said
    assert not call("run", "strip_li", "--force", "-q").stderr


def test_a_shipped_name_where_a_file_is_wanted(folder):
    assert "cell_li is a run: kmc run cell_li" in refused("info", "cell_li")


@pytest.mark.parametrize(
    ("command", "typed", "found"),
    [
        (("run",), "strip_l", ["strip_li", "strip_li_equilibrium", "strip_li_hops", "strip_limg"]),
        (("run",), "my", ["my_own.toml"]),
        (("params", "show"), "limg", ["limg_li2s", "limg_measured"]),
        (("sweep",), "study_cell_p", ["study_cell_pressure"]),
        (
            ("critical",),
            "operando_l",
            ["operando_li", "operando_li_dft", "operando_limg", "operando_limg_dft"],
        ),
        (("calibrate",), "cal", ["calibrate_operando"]),
        (("nucleation",), "na_", ["na_nasicon"]),
    ],
)
def test_tab_completes_shipped_names_and_own_files(folder, command, typed, found):
    (folder / "my_own.toml").write_text("")
    target = main
    for name in command:
        target = target.commands[name]
    (argument,) = [p for p in target.params if isinstance(p, click.Argument)]
    context = click.Context(target)
    assert [item.value for item in argument.shell_complete(context, typed)] == found
