"""What the attacks share: runs in processes of their own that are killed at random moments."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "system.size": [8, 8, 10],
    "acceleration.max_hops_per_strip_per_site": 3e4,
    "stop.capacity_monolayers": 1.5,
    "output.sample_every_monolayers": 0.02,
    "output.frame_every_monolayers": 0.1,
}
KINDS = {
    "li": ("strip_li_hops", SMALL),
    "limg": ("strip_limg", {**SMALL, "system.lattice": "bcc_110"}),
    "closed": ("strip_li_hops", {**SMALL, "conditions.electrode_thickness_um": float("inf")}),
    "rest": ("strip_li_hops", {**SMALL, "stop.capacity_monolayers": 0.5, "rest.time_s": 0.01}),
    "population": ("cell_li", {"upscale.domain_um": 10.0, "upscale.capacity_mAh_cm2": 0.05}),
    "deposition": ("plate_carbon", {**SMALL, "output.frame_every_monolayers": 0.5}),
    "cathode": ("cathode_se", {"cathode.cycles": 2}),
}
# Flushes many times a second, so that few kills fall between two of them.
CHILD = """
import json, sys
from kmc.systems import job
from kmc.runfile.load import load_run
from kmc.systems.electrode import run
from kmc.systems.run import extend, resume, run_to_file

run._CHUNK_S, job._SAVE_EVERY_S, job._SAVING_SHARE = 0.002, 0.01, 1.0
path, name, overrides, how = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]
print("ready", flush=True)
if how == "run":
    run_to_file(load_run(name, overrides), path, progress=False, overwrite=True)
elif how == "resume":
    resume(path, progress=False)
else:
    extend(path, {"stop.capacity_monolayers": float(how)}, progress=False)
"""


def start(path: Path, name: str, overrides: dict, how: str) -> subprocess.Popen:
    """A process that runs, resumes or extends; returned once its imports are done."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), name, json.dumps(overrides), how],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert child.stdout.readline() == "ready\n", child.stderr.read()
    return child


def kill_soon(child: subprocess.Popen, chance: random.Random, longest_s: float) -> bool:
    """Kill a process after a random time; whether it was still at work."""
    end = time.monotonic() + chance.uniform(0.0, longest_s)
    while time.monotonic() < end and child.poll() is None:
        time.sleep(0.001)
    working = child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        pipe.close()
    return working


def drafts(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]
