"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import kmc

WITH_EXAMPLES = sorted(
    found.name
    for found in pkgutil.walk_packages(kmc.__path__, "kmc.")
    if "__main__" not in found.name
    and ">>>" in (importlib.util.find_spec(found.name).loader.get_source(found.name) or "")
)


def examples(name: str) -> list[doctest.DocTest]:
    tests = doctest.DocTestFinder().find(importlib.import_module(name))
    return [
        test
        for test in tests
        if any(not example.options.get(doctest.SKIP) for example in test.examples)
    ]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_print_what_they_say(name):
    for test in examples(name):
        printed: list[str] = []
        runner = doctest.DocTestRunner(verbose=False)
        runner.run(test, out=printed.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(printed)


def test_public_functions_have_examples_that_run():
    assert sum(len(examples(name)) for name in WITH_EXAMPLES) >= 12
