"""Many runs from one file: plan, folder, execution on local processes or a cluster, results. The
packages `convergence` and `critical` build on it. Imports every package but `plotting` and
`cli`.

The package can be called: ``kmc.sweep("study_temperature")`` is `kmc.sweep.study.sweep`. A function
``kmc.sweep`` beside a package of that name would vanish when the package is imported."""

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that runs a sweep when it is called."""

    def __call__(self, study: Any, **options: Any) -> Any:
        """Run a sweep; see `kmc.sweep.study.sweep`.

        Parameters
        ----------
        study : str, Path or mapping
        **options
            ``output``, ``workers``, ``progress``, ``at_monolayers``.
        """
        from kmc.sweep.study import sweep

        return sweep(study, **options)


sys.modules[__name__].__class__ = _Callable
