"""The commented run file of `kmc init`, generated from the sections."""

import math
import textwrap
from collections.abc import Collection, Mapping
from typing import Any, cast

from kmc.common import catalogue
from kmc.common.units import DIMENSIONLESS, unit_of
from kmc.common.validation import allowed_range, toml_value
from kmc.runfile import kinds
from kmc.runfile.load import RunFile
from kmc.runfile.sections import Checked

_HEAD = """\
# {what}
#
# Every key is here with [unit; range] and its default; keys after a # are not set. Remove what
# you do not need: an absent key has its default.
#
#     kmc run {name}
#     kmc run {name} --set conditions.temperature_K=333.15 -o warm.h5
#
# {more}

"""
_PARAMETERS = """\
# Values of the parameter set to replace in this run; `kmc params show li_li2s` lists them.
[parameters]
# second_shell_ratio = 0.4
"""
_PROTOCOL = """\
# Steps of a cycler (docs/cycling.md). With them put a # before current_density_mA_cm2 and every
# capacity and time above, of which each step has its own.
#
#     [[protocol]]
#     steps = ["Strip at 0.5 mA/cm2 until 1 monolayer", "Plate at 0.5 mA/cm2 until 1 monolayer"]
#     repeat = 10
#
#     [[protocol]]
#     step = "Rest for 1 s"
"""
_WIDTH = 98


# Of each scale the first and last line of its head, its kind of run, and the shipped run whose keys
# are set, so that the template runs unchanged and within minutes.
SCALES = {
    "atoms": (
        "A box of atoms: nanometres of interface, in equilibrium between strips or hop by hop.",
        "kmc init --scale cell writes one in micrometres and mAh/cm².",
        kinds.BOX,
        "",
    ),
    "cell": (
        "A cell in micrometres and mAh/cm²: a field of gaps.",
        "kmc init --scale atoms writes a box of atoms. What is assumed: docs/upscaling.md.",
        "population",
        "cell_li",
    ),
}
_SET_OF_ATOMS = {
    "acceleration": {"max_hops_per_strip_per_site": math.inf},
    "stop": {"capacity_monolayers": 2.0},
}


def template(
    name: str = "run.toml",
    scale: str = "atoms",
    settings: Mapping[str, Any] | None = None,
    of_lithium: Collection[str] = (),
) -> str:
    """A valid run file with every key, unit, default and range, of the scale "atoms" or "cell".

    - `settings`: "section.key" → value in place of the default.
    - `of_lithium`: keys whose values are those of lithium cells, in a file for another metal.
    """
    what, more, name_of_kind, like = SCALES[scale]
    given = catalogue.read_toml(catalogue.locate("runs", like)) if like else _SET_OF_ATOMS
    kind = kinds.KINDS[name_of_kind]
    # Those of other kinds, and two that are shown as examples at the end.
    hidden = {*kinds.sections(), "parameters", "protocol"} - {kind.section}
    blocks = []
    for section, field in RunFile.model_fields.items():
        model = cast(type[Checked], field.annotation)
        keys: Collection[str] = () if section in hidden else model.model_fields
        # Keys that such a run would refuse are not shown.
        if kind.uses is not None and section != kind.section and keys:
            keys = kind.uses.get(section, ())
        if not keys:
            continue
        own = dict(given.get(section, {}))
        for place, setting in (settings or {}).items():
            if place.startswith(f"{section}."):
                own[place.partition(".")[2]] = setting
        summary = (model.__doc__ or "").strip().splitlines()[0]
        lines = [*_comment(summary), f"[{section}]"]
        for key, about in model.model_fields.items():
            if key not in keys:
                continue
            optional = about.default is None
            facts = [unit_of(key)] if unit_of(key) != DIMENSIONLESS else []
            facts += [limits] if (limits := allowed_range(about)) else []
            facts += ["no default"] if optional else []
            assert about.description
            text = about.description
            # A capital of α is taken for an A.
            if text[0].isascii():
                text = f"{text[0].upper()}{text[1:]}"
            lines += _comment(f"{text} [{'; '.join(facts)}]" if facts else text)
            if key in of_lithium:
                lines += _comment("OF LITHIUM CELLS, inferred or assumed: give that of your cell.")
            # A key without a default shows an example, behind a # as it is not set.
            example = about.examples[0] if about.examples else None
            value = toml_value(own.get(key, example if optional else about.default))
            off = "# " if optional and key not in own else ""
            lines += [f"{off}{key} = {value}", ""]
        blocks.append("\n".join(lines))
    head = _HEAD.format(name=name, what=what, more=more)
    return head + "\n".join([*blocks, _PROTOCOL, _PARAMETERS])


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
