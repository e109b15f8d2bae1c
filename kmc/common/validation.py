"""Validation of user input, with error messages in plain sentences.

The sections of a run file and the tables of a parameter file are pydantic models. This module has
the number types they share and turns pydantic's errors into an `InputError` that names the value,
its origin, and what is allowed.
"""

import datetime
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from itertools import takewhile
from numbers import Integral, Real
from operator import getitem
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError
from pydantic_core import PydanticCustomError

from kmc.common.catalogue import nearest
from kmc.common.formatting import plural
from kmc.errors import InputError

_OWN = "kmc"  # type of the errors raised by `refuse`


class Checked(BaseModel):
    """Base of everything read from a file: frozen, no unknown keys, nothing coerced."""

    # Strict, as "0.5" or true in place of a number is a mistake and no value.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)


def refuse(problem: str, allowed: str = "") -> PydanticCustomError:
    """The error a validator raises: what is wrong with the value, and what is allowed."""
    # The text goes through ctx because pydantic formats braces in the template.
    return PydanticCustomError(_OWN, "{problem}", {"problem": problem, "allowed": allowed})


_KINDS: tuple[tuple[Any, str], ...] = (
    (type(None), "nothing"),
    (bool, "true or false"),  # before numbers, which a flag is one of
    (str, "text"),
    (dict, "a table"),
    ((list, tuple), "a list"),
    ((datetime.date, datetime.time), "a date"),
    (Real, "a number"),
)


def kind(value: Any) -> str:
    """Type of a TOML value, for messages."""
    named = (text for types, text in _KINDS if isinstance(value, types))
    return next(named, f"a {type(value).__name__}")


def show(value: Any, longest: int = 60) -> str:
    """A value in TOML notation for a message: twelve digits of a number, truncated to a length."""
    # Without the rounding of a conversion of units, such as 7.499999999999999.
    text = toml_value(float(f"{value:.12g}") if isinstance(value, float) else value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def toml_value(value: Any) -> str:
    """TOML notation of a number, text, flag or list (floats short: ``1e5``)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Arguments of a shell may hold lone surrogates, which UTF-8 cannot encode.
        valid = value.encode("utf-8", "backslashreplace").decode("utf-8")
        return json.dumps(valid, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return f"{{ {', '.join(_toml_pairs(value))} }}"
    if isinstance(value, Integral):
        # Python refuses to print integers of thousands of digits.
        return str(int(value)) if int(value).bit_length() < 256 else "an enormous integer"
    if not isinstance(value, Real) or not math.isfinite(value):
        return str(value)
    number = float(value)
    text = repr(number)
    # Powers of ten as people type them: 1e5, not 100000.0.
    if "e" not in text and abs(number) >= 1e5 and float(f"{number:e}") == number:
        text = f"{number:e}"
    if "e" not in text:
        return text
    mantissa, exponent = text.split("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def toml_key(key: str) -> str:
    """A key of a TOML table, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def _toml_pairs(table: Mapping[str, Any]) -> list[str]:
    # TOML has no value for "none": the key is left out.
    return [f"{toml_key(k)} = {toml_value(v)}" for k, v in table.items() if v is not None]


def toml_document(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """A TOML file of sections, each with its keys; tables inside a section stand in one line."""
    blocks = ["\n".join([f"[{name}]", *_toml_pairs(table)]) for name, table in tables.items()]
    return "\n\n".join(blocks) + "\n"


def _unquote(value: Any) -> str:
    """Advice for a number in quotes, empty for any other text."""
    try:
        float(value)
    except (TypeError, ValueError):
        return ""
    return "write it without quotes" if isinstance(value, str) else ""


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise refuse(f"must be a number, not {kind(value)}", _unquote(value))
    try:
        number = float(value)
    except OverflowError:
        raise refuse("is too large for a floating-point number") from None
    if math.isnan(number):
        raise refuse("is not a number")
    return number


def _to_finite(value: Any) -> float:
    number = _to_float(value)
    if math.isinf(number):
        raise refuse("must be finite")
    return number


def _to_int(value: Any) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    noun = "a number with a decimal point or exponent" if type(value) is float else kind(value)
    raise refuse(f"must be a whole number, not {noun}", _unquote(value))


def _to_count(value: Any) -> int:
    # A count of events is naturally written 1e6, which TOML reads as a float.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _to_int(value)


def number_of(value: Any) -> tuple[float, str]:
    """A finite number and an empty text, or NaN and what is wrong with the value."""
    try:
        return _to_finite(value), ""
    except PydanticCustomError as error:
        return math.nan, (error.context or {})["problem"]


Number = Annotated[float, BeforeValidator(_to_finite)]
INFINITE = BeforeValidator(_to_float)  # of a number that may be infinite
NumberOrInf = Annotated[float, INFINITE]
Integer = Annotated[int, BeforeValidator(_to_int)]
Count = Annotated[int, BeforeValidator(_to_count)]
LIST = Strict(False)  # of a tuple, which a list of TOML is taken for


_BOUNDS = (("gt", "above"), ("ge", "at least"), ("lt", "below"), ("le", "at most"))


def allowed_range(field: Any) -> str:
    """The range of a pydantic field as text, with its reason; empty where there is none."""
    if field is None:
        return ""
    extra = field.json_schema_extra or {}
    text = extra.get("allowed") or _allowed(field)
    return f"{text} ({extra['reason']})" if extra.get("reason") else text


def _allowed(field: Any) -> str:
    types = (field.annotation, *get_args(field.annotation))
    # A range may belong to the type itself, or to that of an optional key.
    notes = [*field.metadata, *(mark for of in types for mark in getattr(of, "__metadata__", ()))]
    marks = [part for mark in notes for part in getattr(mark, "metadata", [mark])]
    if bool in types:
        return "true or false"
    choices = [toml_value(c) for of in types if get_origin(of) is Literal for c in get_args(of)]
    if choices:
        return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))
    limits = [
        f"{relation} {'2^63 - 1' if bound == 2**63 - 1 else toml_value(bound)}"
        for attribute, relation in _BOUNDS
        for constraint in marks
        if (bound := getattr(constraint, attribute, None)) is not None
    ]
    return " and ".join(limits) + (", or inf" if INFINITE in marks else "")


class Problem(NamedTuple):
    """An error in an input: the sentence, and what to do about it."""

    message: str
    advice: str = ""


def raise_problems(problems: Iterable[Problem], source: str) -> None:
    """Raise an `InputError` for one or several problems; return where there is none."""
    # All at once, so that a file is put right in one go; each once.
    problems = list(dict.fromkeys(problems))
    if not problems:
        return
    if len(problems) == 1:
        raise InputError(problems[0].message, advice=problems[0].advice or None)
    lines = [f"{source} has {len(problems)} problems:"]
    for message, advice in problems:
        lines.append(f"  - {message}")
        if advice:
            lines.append(f"    {advice}")
    raise InputError("\n".join(lines))


def problems_of(
    error: ValidationError,
    data: Mapping[str, Any],
    model: type[BaseModel],
    where: Callable[[tuple], str],
    shown: Callable[[tuple, Any], str],
    group: Callable[[tuple], str],
    source: str,
) -> list[Problem]:
    """Messages for the errors that pydantic found in `data` of a file, `source`.

    For a location (a tuple of keys), `where` gives "in section [stop] of my.toml" and `shown` the
    value with it; for that of a table `group` gives "section [stop]".
    """
    of_keys: dict[tuple, Any] = {}
    for item in error.errors(include_url=False):
        # Numbers in a location count the entries of a list, of which one problem is enough: the
        # others follow from it, and a misspelt key explains what is missing.
        location: tuple = tuple(takewhile(lambda part: isinstance(part, str), item["loc"]))
        first = of_keys.setdefault(location, item)
        if (first["type"], item["type"]) == ("missing", "extra_forbidden"):
            of_keys[location] = item
    problems = []
    for location, item in of_keys.items():
        siblings, table = _siblings(model, location), group(location[:-1])
        name = location[-1] if location else ""
        if inner := item["loc"][len(location) :]:
            whole = reduce(getitem, location, data)
            message, advice = _of_entry(item, inner, siblings[name], _siblings(model, item["loc"]))
            problems.append(Problem(f"{shown(location, whole)} {message}", advice))
        elif item["type"] == "missing":
            message = f"{table} of {source} has no {name!r}"
            problems.append(Problem(message, f"Keys of {table}: {', '.join(siblings)}."))
        else:
            place = where(location), shown(location, item["input"])
            problems.append(_problem(item, name, place, siblings.get(name), siblings, table))
    return problems


def _siblings(model: type[BaseModel], location: tuple) -> dict[str, Any]:
    """Fields of the table in which the last part of a location stands; none of other tables."""
    fields: dict[str, Any] = model.model_fields
    for part in location[:-1]:
        if part in fields:
            table = _table_in(fields[part].annotation)
            fields = table.model_fields if table else {}
    return fields


def _table_in(kind: Any) -> type[BaseModel] | None:
    """The model that a type is, or that is the type of the entries of a list or table."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_table_in, get_args(kind))), None)


def _of_entry(item: Any, inner: tuple, field: Any, siblings: dict) -> Problem:
    """What is wrong with an entry of the list that is the value of a field."""
    category, value, name = item["type"], item["input"], inner[-1]
    places, word = [], "entry"
    for part in inner:
        if isinstance(part, int):
            places.append(f"{word} {part + 1}: ")
        # The entries of `steps` are steps; those of an entry that is a list itself are numbers.
        word = "number" if isinstance(part, int) else part.removesuffix("s")
    in_a_table = isinstance(name, str)
    if category == "missing" and not in_a_table:  # of a list that is too short
        places.pop()
    at = "".join(places)
    if category == "missing" and in_a_table:
        return Problem(f"{at}{name} is missing", f"Keys: {', '.join(siblings)}.")
    if category in ("model_type", "dict_type"):
        text = f"{name} " if in_a_table else ""
        return Problem(f"{at}{text}must be a table, not {kind(value)}")
    shown = show(value) if at and not siblings else ""
    if in_a_table or siblings:
        field = siblings.get(name)
    place = "", f"{name} = {show(value)}" if in_a_table else shown
    message, advice = _problem(item, name, place, field, siblings, "an entry")
    return Problem(at + message.strip(), advice)


def _problem(
    item: Any, name: str, place: tuple[str, str], field: Any, siblings: dict, group: str
) -> Problem:
    at, shown = place
    value, category, context = item["input"], item["type"], item.get("ctx", {})
    named = " ".join(filter(None, (repr(name), at)))
    if category == "extra_forbidden":
        return Problem(
            f"{named} is not a known key",
            f"{nearest(name, siblings)}Keys of {group}: {', '.join(siblings)}.",
        )
    if category in ("model_type", "dict_type"):
        return Problem(f"{named} must be a table, not {kind(value)}", f"Write it as [{name}].")
    if category == "literal_error":
        listed = context["expected"].replace(" or ", ", ").split(", ")
        choices = [part.strip().strip("'") for part in listed]
        close = nearest(value, choices) if isinstance(value, str) else ""
        return Problem(
            f"{shown} is not a valid choice", f"{close}Allowed: {', '.join(map(repr, choices))}."
        )
    limits = allowed_range(field)
    allowed = f"Allowed: {limits}" if limits else ""
    if category == _OWN:
        hint = context["allowed"] or allowed
        if context["allowed"] and limits and limits not in context["allowed"]:
            hint = f"{context['allowed']}; allowed: {limits}"
        return Problem(f"{shown} {context['problem']}", _sentence(hint))
    if category == "string_type":
        return Problem(f"{shown} must be text, not {kind(value)}", "Put it in quotes.")
    if category == "bool_type":
        return Problem(f"{shown} is not true or false")
    if category == "tuple_type":
        return Problem(f"{shown} must be a list, not {kind(value)}", _sentence(allowed))
    if category in ("missing", "too_short", "too_long"):
        return Problem(f"{shown} has {plural(len(value), 'entry')}", _sentence(allowed))
    if category.startswith(("greater_than", "less_than")):
        return Problem(f"{shown} is out of range", _sentence(allowed))
    return Problem(f"{shown} cannot be used: {item['msg']}")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""
