"""Studies: named plans of sweeps, nucleation and convergence in one folder, and the claims of a
paper judged from what they gave."""

from kmc.study.operando import PLANS
from kmc.study.run import judge, run_study

__all__ = ["PLANS", "judge", "run_study"]
