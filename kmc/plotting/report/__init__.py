"""Reports: one self-contained HTML page of a run, a sweep, a convergence study, a nucleation
result, a population of voids or a study. Figures are embedded; the page loads nothing."""

from kmc.plotting.report.sources import report

__all__ = ["report"]
