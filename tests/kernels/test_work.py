"""The event loop does no more work than it did: counts, not times, so that noise cannot fail them.

The same seed gives the same counts on any machine.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from kmc.kernels import connection, jit, loop, tables
from kmc.systems.electrode import benchmark
from kmc.systems.electrode.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 50_000
THINNING = 1.5  # rates fill at least two thirds of their bin's bound

# Python counts the same but takes minutes; the rest is about compiled code.
pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"), reason="wants compiled code"
)


class Work(NamedTuple):
    """What the loop did for each event."""

    attempts: float
    refreshes: float


def work_of(engine) -> Work:
    events = engine.count(tables.EVENTS)
    return Work(engine.count(tables.ATTEMPTS) / events, engine.count(tables.REFRESHES) / events)


@pytest.fixture(scope="module")
def history():
    """benchmarks/history.py"""
    path = ROOT / "benchmarks" / "history.py"
    spec = importlib.util.spec_from_file_location("speed_history", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_points(history):
    assert history.PAGE.read_text(encoding="utf-8") == history.page(history.stored())


@pytest.mark.parametrize("name", ["bulk_1pct", "strip_li", "strip_limg"])
def test_work_per_event(name, history):
    """The last point of the history; whoever changes the work adds one."""
    work = history.loop_work(name)
    assert work == pytest.approx(history.stored()[-1]["cases"][name]["work"], rel=5e-3)
    assert 1 <= work["attempts"] < THINNING


@pytest.mark.slow
def test_work_of_the_field(history, tmp_path):
    last = history.stored()[-1]["cases"]["field"]["work"]
    assert history.run_field(tmp_path) == pytest.approx(last, rel=0.03)


@pytest.mark.parametrize("fraction", [1e-3, 0.2, 0.5])
def test_draws_per_event_stay_within_thinning(fraction):
    """Whatever the rates: a draw fails with a chance of at most one third."""
    engine = benchmark.bulk_engine(20, 40, round(fraction * 16_000))
    engine.advance(events=EVENTS)
    assert work_of(engine).attempts < THINNING


def test_work_does_not_grow_with_the_box():
    """9 826 and 986 078 sites, 1 % vacant, after the same 20 events for each vacancy."""

    def bulk(n: int, seed: int) -> Work:
        vacancies = round(0.01 * 2 * n**3)
        engine = benchmark.bulk_engine(n, 2 * n, vacancies, seed=seed)
        engine.advance(events=20 * vacancies)
        return work_of(engine)

    # A small box scatters: its mean over ten seeds, with five standard errors.
    small = np.array([bulk(17, seed) for seed in range(1, 11)])
    mean, error = small.mean(axis=0), small.std(axis=0, ddof=1) / np.sqrt(len(small))
    large = np.array(bulk(79, 1))
    assert np.all(np.abs(large - mean) < 5 * error + 0.01 * mean), (large, mean, error)
    assert np.all(large < 1.1 * mean)


# --- memory ---------------------------------------------------------------------------------------


def test_memory_of_the_arrays():
    """A million sites, 1 % vacant: a word and a place in the bins each, little besides."""
    engine = benchmark.bulk_engine(79, 158, 9861)
    engine.advance(events=EVENTS)
    assert engine.state.site_state.itemsize == 4
    assert engine.state.hops.where.itemsize == 4
    # Rows of members are reserved for every bin; only those in use ever get memory.
    rows = np.count_nonzero(engine.state.hops.count)
    in_use = rows * engine.state.hops.members[0].nbytes
    sites = engine.model.lattice.n_sites
    words_and_places = engine.state.site_state.nbytes + engine.state.hops.where.nbytes
    assert (words_and_places + in_use) / sites <= 16
    # Of the loop: site states, places in the bins, members in use.
    state = engine.state
    used = state.site_state.nbytes + state.dirty.nbytes
    for bins in (state.hops, state.strips):
        used += bins.where.nbytes + int(bins.count.sum()) * bins.members.itemsize
    assert used / sites <= 9  # [8.3]


_GROWTH = """
import json, resource, sys
from kmc.systems.electrode import benchmark

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

benchmark.bulk_engine(6, 12, 4).advance(events=1000)
benchmark.strip_engine("strip_li_hops", system__size=[8, 8, 12]).advance(events=1000)
makers = {
    "strip_li_hops": lambda: benchmark.strip_engine("strip_li_hops"),
    "bulk, 1 M sites": lambda: benchmark.bulk_engine(79, 158, 9861),
}
engines, grown = [], {}
for name, make in makers.items():
    before = resident()
    engine = make()
    engine.advance(events=50_000)
    engines.append(engine)
    grown[name] = (resident() - before) / engine.model.lattice.n_sites
print(json.dumps(grown))
"""


def in_process(code: str, *arguments: str, **options):
    """What a Python process prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=3600,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, of Linux only")
def test_memory_of_the_process():
    """Resident memory that a running box adds, with all that making it left behind."""
    grown = in_process(_GROWTH, cwd=ROOT)
    assert grown["strip_li_hops"] <= 200
    assert grown["bulk, 1 M sites"] <= 40  # [19]


# --- compiled code is kept ------------------------------------------------------------------------

_LOAD = """
import json
from kmc.systems.electrode import benchmark
from kmc.kernels import loop
benchmark.bulk_engine(6, 12, 4).advance(events=10)
stats = [f.stats for f in (loop.prepare, loop.advance)]
print(json.dumps([[sum(s.cache_hits.values()), sum(s.cache_misses.values())] for s in stats]))
"""


@pytest.mark.slow
def test_a_second_process_loads_the_compiled_loop():
    benchmark.bulk_engine(6, 12, 4).advance(events=10)  # this process compiled it, or loaded it
    assert in_process(_LOAD, cwd=ROOT) == [[1, 0], [1, 0]]


def with_everything(parts):
    """The arguments of a loop from which no part is left out."""
    net = parts["net"] or connection.NO_SEARCH
    return {"lone": parts["lone"], "net": net} | dict.fromkeys(list(parts)[2:], True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["strip_li_hops", "strip_limg", "pressure_1"])
def test_a_loop_without_parts_makes_the_same_events(name, monkeypatch):
    """What is left out of its code is what such a run never does."""
    ends = []
    few = Engine.parts
    for parts in (few, lambda engine: with_everything(few(engine))):
        engine = benchmark.strip_engine(name)
        assert None in few(engine).values()
        monkeypatch.setattr(Engine, "parts", parts)
        engine.advance(events=100_000)
        monkeypatch.undo()
        assert engine.count(tables.STRIPS) > 10
        ends.append((engine.state.site_state, engine.state.counters, engine.state.clock))
    for one, other in zip(*ends, strict=True):
        assert one.tobytes() == other.tobytes()


_COMPILE = """
import json, sys
from kmc.kernels import loop
from kmc.kernels.jit import reported_compilation
from kmc.systems.electrode import benchmark

engine = benchmark.strip_engine(sys.argv[1])
reports = []
left_out = loop.left_out(engine.parts())
with reported_compilation(loop.advance, lambda *report: reports.append(report), left_out):
    engine.advance(events=1)
extra = [part.__name__ for part in left_out if part.dispatcher.overloads]
print(json.dumps([reports[0], reports[-1], extra]))
"""


@pytest.mark.slow
def test_a_run_compiles_what_it_uses_and_reports_the_end(tmp_path):
    """`loop.left_out` is what such a loop does not compile, no more and no less."""
    totals = []
    for name in ("strip_li_equilibrium", "strip_li_hops", "pressure_1", "cycle_li"):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / name)}
        first, last, extra = in_process(_COMPILE, name, cwd=ROOT, env=environment)
        assert not extra
        assert first[0] <= first[1] / 2
        assert last[0] == last[1]
        totals.append(last[1])
    assert totals == sorted(set(totals))


# The smallest of the kernels stands for all: where numba keeps code depends on the file alone.
_KEEP = """
import json, os, sys
import numpy as np
import kmc
from kmc.kernels import loop
from kmc.model import rate_tables
from kmc.model.lattice import Lattice
from kmc.model.model import Model
from kmc.model.parameters import load_parameters

model = Model(Lattice("bcc_100", (6, 6), 12, "periodic", 3.5), load_parameters("lattice_gas"), 300)
state = rate_tables.new_state(model, np.ones(model.lattice.n_sites, dtype=np.uint8), False)
law, channels = rate_tables.law(model, False), rate_tables.channels(model)
args = model.kernel_lattice.geometry(), law, channels, state.site_state
loop.rates_of_vacancy(*args, model.kernel_lattice.kernel_sites(100), np.zeros(10))
stats = loop.rates_of_vacancy.stats
print(json.dumps({
    "package": os.path.dirname(kmc.__file__),
    "kept_in": {f.stats.cache_path for f in (loop.advance, loop.rates_of_vacancy)}.pop(),
    "hits": sum(stats.cache_hits.values()),
    "misses": sum(stats.cache_misses.values()),
}))
"""


def without_root_powers():
    """Of a process about to start: root too obeys the permissions of files (Linux)."""
    if os.geteuid() == 0:
        cap_dac_override, pr_capbset_drop = 1, 24
        ctypes.CDLL(None, use_errno=True).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


@pytest.fixture
def read_only_package(tmp_path):
    """A copy of the package, without compiled code, in folders that nobody may write to."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "kmc", site / "kmc", ignore=shutil.ignore_patterns("__pycache__"))
    for data in ("lattices", "params", "runs"):
        shutil.copytree(ROOT / data, site / data)
    folders = [site, *(path for path in site.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield site
    for folder in folders:
        folder.chmod(stat.S_IRWXU)


@pytest.mark.slow
def test_compiled_code_is_kept_outside_the_package(tmp_path):
    """An uninstallation leaves no folder behind that would hide a later checkout."""
    site = tmp_path / "site"
    shutil.copytree(ROOT / "kmc", site / "kmc", ignore=shutil.ignore_patterns("__pycache__"))
    for data in ("lattices", "params", "runs"):
        shutil.copytree(ROOT / data, site / data)
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(site), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    options = {"cwd": tmp_path, "env": environment}
    first = in_process(_KEEP, **options)
    assert Path(first["package"]) == site / "kmc"
    if sys.platform == "linux":
        assert Path(first["kept_in"]).is_relative_to(tmp_path / "cache" / "kmc")
    assert not Path(first["kept_in"]).is_relative_to(site)
    assert (first["hits"], first["misses"]) == (0, 1)
    second = in_process(_KEEP, **options)
    assert (second["hits"], second["misses"]) == (1, 0)
    assert not [path for path in site.rglob("*") if path.suffix in {".nbi", ".nbc"}]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="takes root's powers away in Linux's way")
def test_a_home_that_cannot_be_written_is_no_obstacle(read_only_package, tmp_path):
    """Kernels are compiled anew in each process, and every module can be imported."""
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= dict.fromkeys(("PYTHONPATH", "HOME", "XDG_CACHE_HOME"), str(read_only_package))
    done = subprocess.run(
        [sys.executable, "-c", "import kmc.kernels.loop, kmc.kernels.outline, kmc.systems.run"],
        cwd=tmp_path, env=environment, preexec_fn=without_root_powers, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()


def test_the_cache_follows_the_sources():
    """Code of each entry point is kept for these very sources of all kernels."""
    stamps = {
        function._cache._cache_file._source_stamp
        for function in (loop.prepare, loop.sums_of_weights, loop.rates_of_vacancy, loop.advance)
    }
    assert stamps == {jit._sources()}
