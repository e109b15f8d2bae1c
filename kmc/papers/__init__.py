"""Studies, one for each paper: plans of sweeps, nucleation and convergence in one folder, and the
claims of the paper judged from what they gave."""

from kmc.papers.operando import PLANS
from kmc.papers.run import STUDIES, judge, run_study

__all__ = ["PLANS", "STUDIES", "judge", "run_study"]
