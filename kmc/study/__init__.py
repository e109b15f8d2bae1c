"""Studies, one for each paper: plans of sweeps, nucleation and convergence in one folder, and the
claims of the paper judged from what they gave."""

from kmc.study.operando import PLANS
from kmc.study.run import STUDIES, judge, run_study

__all__ = ["PLANS", "STUDIES", "judge", "run_study"]
