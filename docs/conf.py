"""The documentation site: ``sphinx-build -W docs site/html``, with ``pip install ".[docs]"``.

Pages are the Markdown files of this folder, the tutorial, executed during the build, and the API
from the docstrings. README, CHANGELOG and others beside this folder become pages as well, and links
between files of the repository links between pages.
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the docstrings of this checkout
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # the tutorial runs with it too
)

import numba  # noqa: E402

from kmc.common.version import __version__  # noqa: E402

numba.config.DISABLE_JIT = True  # kernels stay functions, with docstrings; not in the tutorial

project = "kmc"
author = "The kmc developers"
version = release = __version__
root_doc = "index"
exclude_patterns = ["Thumbs.db", ".DS_Store"]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "myst_nb",
]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["kmc.css"]
html_title = f"kmc {__version__}"
html_copy_source = False

# --- pages ----------------------------------------------------------------------------------------

myst_enable_extensions = ["html_image"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_excludepatterns = ["pybamm.ipynb"]  # needs an extra of its own; a test runs it
nb_execution_raise_on_error = True
nb_execution_timeout = 1800  # compilation included, on a slow machine

# --- docstrings -----------------------------------------------------------------------------------

default_role = "literal"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
# Words in the types of docstrings ("array of int, shape (n,)") are tried as names of objects.
suppress_warnings = ["ref.python"]

# Pages that are not in this folder: their place in the site, and the file with their text.
BESIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
}
_LINK = re.compile(r'(\]\(|src=")([^)#"\s]+)')


def rewritten(text: str, source: str, page: str) -> str:
    """Text of a file of the repository with links that hold from a page of the site.

    Parameters
    ----------
    text : str
    source, page : str
        Path of the file, from the top of the repository, and of the page, from this folder.
    """

    def new(match: re.Match) -> str:
        start, link = match.groups()
        if "://" in link:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if path in BESIDE:
            target = BESIDE[path]
        elif path.startswith("docs/"):
            target = path.removeprefix("docs/")
        else:
            target = f"../{path}"  # becomes a download
        return start + posixpath.relpath(target, posixpath.dirname(page) or ".")

    return _LINK.sub(new, text)


def _read(app, docname, content):
    """Rewrite the links of a page; put the text of a file beside this folder in its page."""
    path = Path(app.env.doc2path(docname))
    if path.suffix != ".md":
        return
    page = path.relative_to(app.srcdir).as_posix()
    content[0] = rewritten(content[0], f"docs/{page}", page)
    for source, target in BESIDE.items():
        if page == target:
            text = (ROOT / source).read_text(encoding="utf-8")
            content[0] = f"{rewritten(text, source, page)}\n{content[0]}"


# --- API ------------------------------------------------------------------------------------------


def api_pages() -> dict[str, str]:
    """Pages of the API: public names and results, and one page for each package."""
    names = sorted(path.parent.name for path in (ROOT / "kmc").glob("*/__init__.py"))
    pages = {"index.rst": _front_page(names)}
    for name in names:
        # Internal modules can be read here, but neither the search nor the index leads to them.
        parts = [":nosearch:\n", _title(f"kmc.{name}")]
        for path in sorted((ROOT / "kmc" / name).rglob("*.py"), key=_order):
            if path.stem == "__main__":
                continue
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if path.stem == "__init__":
                module = module.removesuffix(".__init__")
                if module != f"kmc.{name}":
                    parts.append(_title(module.removeprefix("kmc."), "-"))
                parts.append(f".. automodule:: {module}\n   :no-members:\n   :no-index:\n")
            else:
                parts.append(_title(module.removeprefix(f"kmc.{name}."), "-"))
                parts.append(f".. automodule:: {module}\n   :no-index:\n")
        pages[f"{name}.rst"] = "\n".join(parts)
    return pages


# What the functions of `kmc` return.
RESULTS = (
    "kmc.files.reader.Trajectory",
    "kmc.systems.population.result.PopulationRun",
    "kmc.files.table_run.TableRun",
    "kmc.analysis.history.VoidHistory",
    "kmc.analysis.cross_section.CrossSection",
    "kmc.analysis.profiles.Profiles",
    "kmc.analysis.transport.Transport",
)


def public_names() -> list[str]:
    """Names of `kmc.__all__`, without importing it."""
    for node in ast.parse((ROOT / "kmc" / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MODULES":
            return sorted(ast.literal_eval(node.value))
    raise ValueError("kmc/__init__.py has no _MODULES")


def _front_page(packages: list[str]) -> str:
    """Each public name with its own entry; what they return; errors; then the packages."""
    parts = [
        _title("API"),
        "The names of ``kmc`` itself (see :doc:`/promises`), what they return, and the packages "
        "below it.\n",
        _title("kmc", "-"),
    ]
    for name in public_names():
        kind = "class" if name[0].isupper() else "function"
        parts.append(f".. auto{kind}:: kmc.{name}\n")
    parts += [_title("Results", "-"), *(f".. autoclass:: {name}\n" for name in RESULTS)]
    parts += [_title("kmc.errors", "-"), ".. automodule:: kmc.errors\n"]
    parts += [_title("Packages", "-"), ".. toctree::\n   :maxdepth: 1\n"]
    return "\n".join([*parts, *(f"   {name}" for name in packages), ""])


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"


def _order(path: Path) -> tuple:
    """A package before its modules, and those before its subpackages."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return (len(parts), parts[:-1], parts[-1] != "__init__", parts[-1])


def _write_api(app):
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    pages = api_pages()
    for path in folder.glob("*.rst"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _skip(app, what, name, obj, skip, options):
    """Leave out fields of named tuples, which have no docstring, and what matplotlib generates."""
    no_text = (getattr(obj, "__doc__", None) or "").startswith("Alias for field")
    foreign = str(getattr(obj, "__module__", "")).startswith("matplotlib")
    return no_text or foreign or skip


def setup(app):
    app.connect("builder-inited", _write_api)
    app.connect("source-read", _read)
    app.connect("autodoc-skip-member", _skip)
