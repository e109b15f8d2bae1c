"""What the conditions of a run mean: settings of [conditions], of a run file or of a trajectory."""

from collections.abc import Mapping
from typing import Any

from kmc.common.formatting import figure, listed, plural, quantity


def has_current(conditions: Mapping[str, Any]) -> bool:
    """Whether charge passes: a current is given, or a voltage is held."""
    current = conditions.get("current_density_mA_cm2", 0.0)
    return current > 0 or conditions.get("overpotential_V") is not None


def driven_by_run(run: Mapping[str, Any]) -> str:
    """The same for all settings of a run: one that follows a protocol names that first."""
    blocks = run.get("protocol", {}).get("blocks")
    text = driven_by(run.get("conditions", {}))
    if not blocks:
        return text
    # Repeats counted, as a cycler counts its steps.
    steps = sum(block["repeat"] * len(block["steps"]) for block in blocks)
    return f"a protocol of {plural(steps, 'step')}, largest current {text}"


def temperatures(run: Mapping[str, Any]) -> str:
    """Temperature of a run, and those of single steps of its protocol: "298.15, 333.15 K"."""
    kelvin = run.get("conditions", {}).get("temperature_K")
    if kelvin is None:
        return ""
    own = {
        step.get("temperature_K")
        for block in run.get("protocol", {}).get("blocks") or []
        for step in block["steps"]
    }
    *others, last = [kelvin, *sorted(own - {None, kelvin})]
    return ", ".join([*(figure(other, digits=5) for other in others), figure(last, "K", 5)])


def driven_by(conditions: Mapping[str, Any]) -> str:
    """What drives a run: "0.5 mA/cm²", "20 mV held" or "no current", and the pressure if any."""
    parts = []
    if conditions.get("overpotential_V"):
        parts.append(f"{figure(1e3 * conditions['overpotential_V'], 'mV')} held")
    elif conditions.get("current_density_mA_cm2"):
        parts.append(figure(conditions["current_density_mA_cm2"], "mA/cm²"))
    else:
        parts.append("no current")
    if conditions.get("stack_pressure_MPa"):
        parts.append(figure(conditions["stack_pressure_MPa"], "MPa"))
    return ", ".join(parts)


def unsourced(resolved: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Row of a summary: inputs without a source that act in a run; none where all have one.

    Creep acts under pressure alone, charge transfer with a current.
    """
    conditions = resolved.get("run", {}).get("conditions", {})
    # Beginnings of the names of quantities that act where charge passes.
    charge = ("exchange_", "charge_transfer_", "rim_exchange_")
    off = () if has_current(conditions) else charge
    if not conditions.get("stack_pressure_MPa"):
        off = (*off, "creep_")
    acting = {k: v for k, v in resolved.get("parameters", {}).items() if not k.startswith(off)}
    # What is from memory is assumed, too: it is named once, as the worse of the two.
    memory = [key for key, value in acting.items() if value.get("from_memory")]
    assumed = [k for k, v in acting.items() if v.get("assumed") and k not in memory]
    pairs = (("from memory, not looked up", memory), ("assumed", assumed))
    texts = "; ".join(f"{name}: {listed(keys)}" for name, keys in pairs if keys)
    return [("Inputs", f"{texts} (kmc params show)")] if texts else []


def ending(reason: str) -> str:
    """Why a run ended, in words: "capacity of 2 monolayers reached".

    >>> ending("contact_fraction reached 0.3"), ending("no contact is left")
    ('contact fraction of 0.3 reached', 'no contact is left')
    """
    first, then, rest = reason.partition(";")  # a rest follows, or steps that ended early
    key, reached, value = first.partition(" reached ")
    if not reached or not key.isidentifier():
        return reason
    name, unit = quantity(key)
    # The reason is stored with the name of the key, which is in the plural.
    unit = "monolayer" if (unit, value) == ("monolayers", "1") else unit
    text = f"{value} {name}" if not unit and name.endswith("s") else f"{name} of {value}"
    return " ".join(part for part in (text, unit, "reached") if part) + then + rest


def ended(run: Any, reason: str = "") -> tuple[str, str]:
    """First row of a short summary: why a run ended, or how to go on with it.

    - `run` (Result); `reason`: in place of its own, once it has finished.
    """
    if run.finished:
        return "Ended", ending(reason or run.stop_reason or "no reason is stated")
    state = run.stop_reason or "still running, or killed"
    return "Not finished", f"{state}; kmc resume {run.path.name} goes on from here"
