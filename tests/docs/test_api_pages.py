"""The API of the site: an entry for every public name, and no internal module in the search."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import kmc

CONF = Path(__file__).resolve().parents[2] / "docs" / "conf.py"


def _pages() -> dict[str, str]:
    """`api_pages` of docs/conf.py, without what a build of the site needs."""
    tree = ast.parse(CONF.read_text(encoding="utf-8"))
    wanted = ("api_pages", "public_names", "_front_page", "_title", "_order")
    tree.body = [
        node
        for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name in wanted)
        or (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "RESULTS")
    ]
    names: dict = {"ROOT": CONF.parents[1], "Path": Path, "ast": ast}
    exec(compile(tree, str(CONF), "exec"), names)
    return names["api_pages"]()


def test_every_public_name_has_its_own_entry():
    front = _pages()["index.rst"]
    found = re.findall(r"^\.\. auto(?:function|class):: kmc\.(\w+)$", front, re.M)
    assert sorted(found) == sorted(name for name in kmc.__all__ if not name.startswith("__"))


def test_internal_modules_are_left_out_of_the_search():
    pages = _pages()
    front = pages.pop("index.rst")
    assert ":nosearch:" not in front
    assert len(pages) >= 10
    for name, text in pages.items():
        assert text.startswith(":nosearch:"), name
        assert text.count(".. automodule::") == text.count(":no-index:"), name
