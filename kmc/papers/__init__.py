"""Three papers beside runs: for each a TOML file with the runs and the claims, and one judge."""

from kmc.papers.paper import NAMES, paper
from kmc.papers.run import judge, missing, plan_of, planned_lines, run_study

__all__ = ["NAMES", "judge", "missing", "paper", "plan_of", "planned_lines", "run_study"]
