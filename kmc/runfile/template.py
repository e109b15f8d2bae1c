"""The commented run file of `kmc init`, generated from the sections."""

from __future__ import annotations

import textwrap
from typing import cast

from kmc.common.units import DIMENSIONLESS, unit_of
from kmc.common.validation import allowed_range, toml_value
from kmc.runfile import kinds
from kmc.runfile.load import RunFile
from kmc.runfile.sections import Checked

_HEAD = """\
# A run of kmc. Every key is here with [unit; range] and its default; keys after a # are not set.
# Remove what you do not need: an absent key has its default.
#
#     kmc run {name}
#     kmc run {name} --set conditions.temperature_K=333.15 -o warm.h5

"""
_PARAMETERS = """\
# Values of the parameter set to replace in this run; `kmc params show li_li2s` lists them.
[parameters]
# second_shell_ratio = 0.4
"""
_PROTOCOL = """\
# Steps of a cycler instead of [stop], [rest] and the current of [conditions]; see docs/cycling.md.
#
#     [[protocol]]
#     steps = ["Strip at 0.5 mA/cm2 until 1 monolayer", "Plate at 0.5 mA/cm2 until 1 monolayer"]
#     repeat = 10
#
#     [[protocol]]
#     step = "Rest for 1 s"
"""
# Set in the template, so that it runs unchanged and within minutes.
_SET = {
    ("acceleration", "max_hops_per_strip_per_site"),
    ("stop", "capacity_monolayers"),
}
_WIDTH = 98


def template(name: str = "run.toml") -> str:
    """A valid run file with every key, its unit, default and range.

    Parameters
    ----------
    name : str
        File name in the example at its head.
    """
    blocks = [
        _section(section, cast(type[Checked], field.annotation))
        for section, field in RunFile.model_fields.items()
        # A population and other systems have a file of their own.
        if section not in ("parameters", "protocol", *kinds.sections())
    ]
    return _HEAD.format(name=name) + "\n".join([*blocks, _PROTOCOL, _PARAMETERS])


def _section(section: str, model: type[Checked]) -> str:
    summary = (model.__doc__ or "").strip().splitlines()[0]
    lines = [*_comment(summary), f"[{section}]"]
    for key, field in model.model_fields.items():
        optional = field.default is None
        facts = [unit_of(key)] if unit_of(key) != DIMENSIONLESS else []
        facts += [limits] if (limits := allowed_range(field)) else []
        facts += ["no default"] if optional else []
        assert field.description
        text = f"{field.description[0].upper()}{field.description[1:]}"
        lines += _comment(f"{text} [{'; '.join(facts)}]" if facts else text)
        example = field.examples[0] if field.examples else None
        value = toml_value(example if optional else field.default)
        off = "# " if optional and (section, key) not in _SET else ""
        lines += [f"{off}{key} = {value}", ""]
    return "\n".join(lines)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
