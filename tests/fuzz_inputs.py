"""What `fuzz` feeds kmc as text: run, sweep, parameter and lattice files, and overrides.

Mostly the right keys with likely values, and some of everything else.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

from hypothesis import strategies as st

from kmc.common import catalogue
from kmc.model.quantities import QUANTITIES
from kmc.runfile.kinds import sections as sections_of_kinds
from kmc.runfile.load import RunFile

# --- values ---------------------------------------------------------------------------------------


class Raw(str):
    """Text that goes into a TOML file as it is."""


ODD_NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30]),
    st.sampled_from([1e-320, 1e-9, 0.1, -0.0, 1e5, 1e9, 1e16, 1e300, -1e300]),
    st.sampled_from([math.inf, -math.inf, math.nan]),
    st.just(Raw("1" + "0" * 5000)),  # more digits than Python reads
)
TEXT = st.one_of(
    st.sampled_from(["", " ", "none", "inf", "nan", "equilibrium", "bcc_100", "li_li2s", "300"]),
    st.sampled_from(
        ["../../etc/passwd", "/dev/zero", "/dev/stdin", "a/b.toml", ".", "/", "x" * 5000]
    ),
    st.sampled_from(["mine.toml", "µ…\u202e", "\0", "{0}{x!r}", "%s%n", "~", "\ud800"]),
    st.text(max_size=12),
)
ODD = st.recursive(
    st.one_of(
        ODD_NUMBERS,
        st.integers(),
        st.floats(),
        TEXT,
        st.booleans(),
        st.sampled_from(["1979-05-27T07:32:00Z", "07:32:00", "2026-02-30"]).map(lambda t: Raw(t)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=6), inner, max_size=3),
    ),
    max_leaves=6,
)


def toml(value: Any) -> str:
    """A value as TOML; what TOML cannot say is written as it comes."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return repr(value)


def number(low: float, high: float) -> st.SearchStrategy:
    return st.floats(low, high, allow_nan=False)


SIZES = st.tuples(st.integers(4, 8), st.integers(4, 8), st.integers(8, 16)).map(list)
HUGE = st.sampled_from([[10**5, 10**5, 100], [4, 4, 10**9], [2**31, 4, 8], [40_000, 40_000, 400]])
# Values a key may well have; a key that is not here takes any of `COMMON`.
PLAUSIBLE: dict[str, st.SearchStrategy] = {
    "params": st.sampled_from(["li_li2s", "limg_li2s", "lattice_gas", "li_l2s", "mine.toml"]),
    "lattice": st.sampled_from(["bcc_100", "bcc_110", "bcc_111", "bcc_112", "mine.toml"]),
    "size": st.one_of(SIZES, SIZES, SIZES, HUGE, st.lists(st.integers(-3, 40), max_size=4)),
    "boundary": st.sampled_from(["interface", "periodic", "open"]),
    "mg_fraction": number(0, 0.7),
    "mg_coverage_L1": st.one_of(number(0, 1), st.just("equilibrium")),
    "vacancy_fraction": number(0, 1),
    "temperature_K": number(1, 3000),
    "current_density_mA_cm2": st.one_of(st.just(0.0), number(0, 100), number(-100, 0)),
    "mg_supply": st.sampled_from(["metal", "vacancies"]),
    "electrode_thickness_um": st.one_of(st.just(math.inf), number(0.001, 1e4)),
    "seed": st.integers(0, 2**63 - 1),
    "strip_weight_lambda": number(0, 1),
    "contact_fraction": number(0, 0.99),
    "saddle_floor_eV": number(0, 2),
    "events": st.integers(1, 1000),
}
PLAUSIBLE |= {
    key: number(max(-1, meaning.lowest), min(2, meaning.highest))
    for key, meaning in QUANTITIES.items()
    if key.endswith("_eV")
}
COMMON = st.one_of(number(0, 1), number(0, 1e6), st.integers(1, 10**6), st.just(1e-12))


def value_of(key: str) -> st.SearchStrategy:
    likely = PLAUSIBLE.get(key, COMMON)
    return st.integers(0, 19).flatmap(lambda chance: ODD if chance == 10 else likely)


@cache
def sections() -> dict[str, list[str]]:
    fields = RunFile.model_fields
    return {
        name: list(getattr(field.annotation, "model_fields", {})) or list(QUANTITIES)
        for name, field in fields.items()
    }


@st.composite
def run_text(draw) -> str:
    """A run file: mostly the right keys with likely values, some of everything else."""
    base = {"stop": {"events": 100}} if draw(st.integers(0, 15)) != 7 else {}
    lines = []
    kinds = [*sections_of_kinds()]
    kind = draw(st.sampled_from([None] * 3 * len(kinds) + kinds))
    for name, keys in sections().items():
        if name in kinds and name != kind:
            continue
        seldom = {"parameters": 3, "protocol": 15}.get(name, 1)
        if draw(st.integers(0, seldom)) and name not in (*base, kind):
            continue
        # Keys of these sections exclude each other, or belong to another parameter set.
        most = {"acceleration": 1, "output": 1, "parameters": 1}.get(name, 3)
        chosen = draw(st.lists(st.sampled_from(keys), max_size=most, unique=True))
        table = {key: draw(value_of(key)) for key in chosen} | base.get(name, {})
        if name == "system":
            table.setdefault("size", draw(SIZES))
        if draw(st.integers(0, 15)) == 7:
            table[draw(st.text("abcdefgh_KeV", max_size=9))] = draw(ODD)
        lines.append(f"[{name}]" if draw(st.integers(0, 30)) != 15 else toml(draw(TEXT)))
        lines += [
            f"{key if key.isidentifier() else toml(key)} = {toml(v)}" for key, v in table.items()
        ]
    return draw(mutated("\n".join(lines) + "\n"))


@st.composite
def mutated(draw, text: str) -> str:
    """The text as it is, or with something done to its characters or lines."""
    if draw(st.integers(0, 6)) != 3:  # hypothesis prefers the ends of a range
        return text
    kind = draw(st.sampled_from(["cut", "insert", "double", "drop", "nest", "odd"]))
    place = draw(st.integers(0, max(0, len(text))))
    lines = text.splitlines(keepends=True)
    if kind == "cut":
        return text[:place]
    if kind == "insert":
        return text[:place] + draw(st.text(max_size=8)) + text[place:]
    if kind == "nest":
        deep = draw(st.sampled_from([10, 500, 3000]))
        form = draw(st.sampled_from(["x = {}", "[{}]", "{} = 1"]))
        inner = {
            "x = {}": "[" * deep + "]" * deep,
            "[{}]": ".".join("a" * deep),
            "{} = 1": ".".join("a" * deep),
        }[form]
        return text + form.replace("{}", inner) + "\n"
    if kind == "odd":
        return draw(
            st.sampled_from(["", "\ufeff" + text, text.replace("\n", "\r"), "\0", text * 50])
        )
    if lines:
        index = draw(st.integers(0, len(lines) - 1))
        lines[index : index + 1] = [lines[index]] * 2 if kind == "double" else []
    return "".join(lines)


def altered_file(kind: str, numbers: bool) -> st.SearchStrategy:
    """A shipped file with some of its values replaced by others."""

    @st.composite
    def strategy(draw) -> str:
        name = draw(st.sampled_from(catalogue.names(kind)))
        text = catalogue.read_text(catalogue.locate(kind, name))
        lines = text.splitlines()
        places = [i for i, line in enumerate(lines) if " = " in line]
        for _ in range(draw(st.integers(0, 2))):
            index = draw(st.sampled_from(places))
            key = lines[index].partition(" = ")[0]
            new = draw(st.one_of(COMMON, number(-1, 1), ODD) if numbers else ODD)
            lines[index] = f"{key} = {toml(new)}"
        return draw(mutated("\n".join(lines) + "\n"))

    return strategy()


@st.composite
def override_text(draw) -> str:
    """What is typed behind --set."""
    section = draw(st.sampled_from(list(sections())))
    key = draw(st.sampled_from(sections()[section]))
    form = draw(st.integers(0, 9))
    if form == 0:
        return draw(st.text(max_size=30))
    if form == 1:
        return draw(
            st.sampled_from(["=", "a=", "=1", "a.b.c=1", "a.b=[1", 'a.b="', "stop.events=1\n"])
        )
    value = draw(value_of(key))
    said = toml(value) if form < 8 else str(draw(TEXT))
    return f"{section}.{key}={said}"


USUAL_AXES = [
    ("conditions", "temperature_K"),
    ("conditions", "electrode_thickness_um"),
    ("conditions", "strip_weight_lambda"),
    ("stop", "contact_fraction"),
    ("stop", "events"),
    ("parameters", "formation_energy_L1_eV"),
]


@st.composite
def any_key(draw) -> tuple[str, str]:
    section = draw(st.sampled_from(list(sections())))
    return section, draw(st.sampled_from(sections()[section]))


@st.composite
def sweep_text(draw) -> str:
    """A sweep file: few axes of few values, likely ones and odd ones."""
    lines = [f"run = {toml(draw(st.sampled_from(['strip_li'] * 8 + ['strip_limg', 'none', 3])))}"]
    if draw(st.integers(0, 4)) == 2:
        lines.append(f"replicas = {toml(draw(st.one_of(st.integers(-1, 5), ODD)))}")
    if draw(st.integers(0, 4)) == 2:
        lines.append(f"seed = {toml(draw(st.one_of(st.integers(0, 2**63), ODD)))}")
    if draw(st.integers(0, 14)) == 7:
        lines.append(f"{draw(st.text('abcdefgh', min_size=1, max_size=5))} = {toml(draw(ODD))}")
    for table in ("grid", "zip", "set"):
        if table != "grid" and draw(st.integers(0, 2)):
            continue
        lines.append(f"[{table}]")
        for _ in range(draw(st.integers(0 if table != "grid" else 1, 2))):
            section, key = draw(st.one_of(*[st.sampled_from(USUAL_AXES)] * 6, any_key()))
            values = st.lists(value_of(key), min_size=1, max_size=3)
            value = draw(value_of(key) if table == "set" else st.one_of(values, values, ODD))
            lines.append(f'"{section}.{key}" = {toml(value)}')
    return draw(mutated("\n".join(lines) + "\n"))
