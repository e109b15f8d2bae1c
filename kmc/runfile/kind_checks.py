"""Checks of runs with a section of their own: those that all share, and those of each kind."""

import math
from collections.abc import Iterator
from functools import partial

from kmc.common.validation import Problem
from kmc.errors import InputError
from kmc.model.adatoms import NEEDED as NEEDED_OF_SUBSTRATE
from kmc.model.adatoms import adatoms, check_same_metal, times_of
from kmc.model.electrochemistry import strip_rate_Hz
from kmc.model.parameters import ParameterSet
from kmc.runfile import kinds
from kmc.runfile.checks import CURRENT, RATIO, SINKS, VOLTAGE, load_all, steps_instead
from kmc.runfile.kind_sections import MAX_CELLS, Upscale, cells_along_edge
from kmc.runfile.protocol import CHARGES, HOLD, STRIP
from kmc.runfile.run_file import Origin, RunFile

MAX_SITES = 20_000_000  # of a deposition: 8 arrays a site, 400 MB
LIZN = "li_lizn"  # what ZnO becomes
NEEDED = ("youngs_modulus_GPa", "poisson_ratio")
NEEDED_OF_ACTIVE = (*NEEDED, "lithiation_volume_change")
CREEP = ("creep_reference_rate_per_s", "creep_reference_stress_MPa", "strain_rate_sensitivity")


def unused_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Sections of two kinds of run, or keys that a run file gives and its kind does not use."""
    sections, kind = run.model_fields_set, kinds.KINDS[run.kind]
    if len(several := [f"[{name}]" for name in kinds.sections() if name in sections]) > 1:
        text = f"{' and '.join(several)} in {origin.source} exclude each other"
        return [Problem(text, "Keep one of them.")]
    if kind.uses is None:
        return []
    return [
        Problem(
            f"{origin.of(run, f'{section}.{key}')} has no meaning in a run with [{kind.section}]",
            f"Remove it; of [{section}] it uses {', '.join(used) or 'nothing'}.",
        )
        for section in sorted(sections - {kind.section, "parameters"})
        for used in [kind.uses.get(section, ())]
        for key in sorted(getattr(run, section).model_fields_set - set(used))
        if getattr(getattr(run, section), key) is not None
    ]


def deposition_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a deposition whose single values are all in order."""
    of, ratio = partial(origin.of, run), run.acceleration.max_hops_per_strip_per_site
    problems, sites = [], math.prod(run.system.size)
    if sites > MAX_SITES:
        text = f"{of('system.size')} is {sites} sites"
        problems.append(Problem(text, f"Use at most {MAX_SITES}."))
    if not run.has_protocol and run.conditions.current_density_mA_cm2 <= 0:
        text = f"{of(CURRENT)}: nothing is plated"
        problems.append(Problem(text, "Give a current above 0."))
    if not run.has_protocol and not any(getattr(run.stop, key) for key in CHARGES):
        text = f"section [stop] of {origin.source} has no capacity: the deposition never ends"
        problems.append(Problem(text, "Give capacity_monolayers or capacity_mAh_cm2."))
    if ratio is not None and run.acceleration.saddle_floor_eV is not None:
        text = f"{of(RATIO)} and saddle_floor_eV exclude each other"
        problems.append(Problem(text, "Keep one of them."))
    if ratio == math.inf and not run.deposition.hops:
        text = f"{of(RATIO)} and {of('deposition.hops')} exclude each other"
        problems.append(Problem(text, "Remove one of them."))
    if run.deposition.zinc_oxide_nm is not None and LIZN not in run.parameter_set().name:
        text = f"{of('deposition.zinc_oxide_nm')} has become LiZn, and the substrate is "
        text += run.system.params
        problems.append(Problem(text, f'Set system.params = "{LIZN}".'))
    # Substrate and islands have the energies of adatoms, on the same metal.
    needs = dict.fromkeys(("system.params", "deposition.island_params"), NEEDED_OF_SUBSTRATE)
    such_as = "of a substrate, such as li_zno_002, li_lizn or li_carbon"
    sets = load_all(run, origin, needs, "a substrate", such_as)
    if isinstance(sets, Problem):
        problems.insert(0, sets)
    else:
        try:
            check_same_metal(list(sets.values()))
        except InputError as error:
            problems.insert(0, Problem(error.message, error.advice or ""))
        if ratio == math.inf and not problems:
            problems += _too_slow(run, of(RATIO), list(sets.values()))
    if not run.has_protocol:
        return problems
    problems += steps_instead(run, origin)
    # One message: the other steps are likely to be the same.
    for n, _, step in run.protocol.plan:
        if step.do == HOLD or step.until.overpotential_V or step.until.contact_fraction is not None:
            text = (
                f"step {n} of [[protocol]] in {origin.source}, {step}: a deposition has neither "
                "held voltages nor ends by voltage or contact"
            )
            advice = (
                "Plate, strip or rest, until a capacity or a time; a strip also ends when nothing "
                "is left that can be stripped."
            )
            return [*problems, Problem(text, advice)]
    return problems


def _too_slow(run: RunFile, ratio: str, sets: list[ParameterSet]) -> list[Problem]:
    """Whether lone atoms are slower than others come, so that there is no equilibrium between."""
    currents = [planned.step.current_density_mA_cm2 or 0.0 for planned in run.protocol.plan]
    current = max([*currents, run.conditions.current_density_mA_cm2])
    energies = adatoms(sets, run.conditions.temperature_K, 0.0)
    if current <= 0:
        return []
    local = current / (run.deposition.area_per_electrode_area or 1.0)
    times = times_of(energies, strip_rate_Hz(local, energies.area_A2, energies.valence))
    if times.slowest_s <= times.arrivals_s:
        return []
    text = (
        f"{ratio}: at {current:g} mA/cm² an atom arrives on 10 nm × 10 nm each "
        f"{times.arrivals_s:.3g} s, and lone atoms with barriers of "
        f"{', '.join(f'{b:g}' for b in energies.barrier_eV)} eV take up to {times.slowest_s:.3g} s "
        "to cross it: there is no equilibrium between two arrivals"
    )
    advice = "Give a ratio such as 1e6, with which slow hops are events at their own rate."
    return [Problem(text, advice)]


def cathode_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a cathode whose single values are all in order."""
    of, cathode, problems = partial(origin.of, run), run.cathode, _materials(run, origin)
    # Swelling needs pores: without them only elastic compression would make room.
    pores = 1 - (cathode.active_fraction + cathode.frame_fraction)
    if cathode.active_fraction + cathode.frame_fraction > 0.95:
        text = f"{of('cathode.active_fraction')} with frame_fraction = {cathode.frame_fraction:g} "
        text += f"leaves {pores:.3g} of the volume for pores"
        problems.append(Problem(text, "At least 0.05 must be pores."))
    # With fewer grains the percolation of the frame is that of this one box.
    if cathode.edge_sites < 2 * cathode.grain_sites:
        text = f"{of('cathode.grain_sites')} is more than half of edge_sites = {cathode.edge_sites}"
        problems.append(Problem(text, "A representative volume holds many grains: at least four."))
    return problems


def _materials(run: RunFile, origin: Origin) -> list[Problem]:
    """The sets have elastic constants, and both states of the active material creep or neither."""
    others = ("cathode.lithiated_params", "cathode.frame_params")
    needs = {"system.params": NEEDED_OF_ACTIVE, **dict.fromkeys(others, NEEDED)}
    noun, such_as = "a material of a cathode", "such as se, li2se, fes, licoo2 or mo6se8"
    sets = load_all(run, origin, needs, noun, such_as)
    if isinstance(sets, Problem):
        return [sets]
    # A law of creep is whole or absent.
    creep = [place for place, of in sets.items() if any(of.has(quantity) for quantity in CREEP)]
    sets = load_all(run, origin, dict.fromkeys(creep, CREEP), noun, such_as)
    if isinstance(sets, Problem):
        return [sets]
    stated = "cathode.lithiated_params"
    if run.cathode.lithiated_params and (stated in creep) != ("system.params" in creep):
        return [
            Problem(
                f"{origin.of(run, stated)} and {run.system.params}: only one of them has a creep "
                "law",
                "Give two states of one material.",
            )
        ]
    return []


_MAX_FLAWS = 2_000_000
_DEFAULTS = Upscale()


def under_pressure(run: RunFile) -> bool:
    """Whether any part of the run is under a stack pressure."""
    own = (planned.step.stack_pressure_MPa for planned in run.protocol.plan)
    # A stiff fixture comes under pressure where the counter electrode swells.
    stiff = run.upscale.fixture_stiffness_MPa_per_um
    return bool(run.conditions.stack_pressure_MPa or stiff) or any(own)


def upscale_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a run of a population whose single values are all in order."""
    return [
        *_flaws(run, origin),
        *_shape(run, origin),
        *_sinks_and_drive(run, origin),
        *_rounding(run, origin),
        *_pressure(run, origin),
        *_steps(run, origin),
        *_grid(run, origin),
    ]


def _shape(run: RunFile, origin: Origin) -> Iterator[Problem]:
    upscale, of = run.upscale, partial(origin.of, run)
    if upscale.shape == "aspect":
        if upscale.aspect_ratio is None:
            stated = of("upscale.shape")
            yield Problem(f"{stated} needs aspect_ratio", "Give upscale.aspect_ratio.")
        # The angle gives a cap its height, which an aspect ratio states.
        if upscale.contact_angle_deg is not None:
            stated = of("upscale.contact_angle_deg")
            yield Problem(f'{stated} has no meaning with shape = "aspect"', "Remove it.")
    elif upscale.aspect_ratio is not None:
        stated = of("upscale.aspect_ratio")
        yield Problem(f'{stated} has no meaning with shape = "{upscale.shape}"', "Remove it.")


def _sinks_and_drive(run: RunFile, origin: Origin) -> Iterator[Problem]:
    of, c = partial(origin.of, run), run.conditions
    if run.system.boundary == "periodic":
        text = f"{of('system.boundary')}: [upscale] needs an interface"
        yield Problem(text, 'Set boundary = "interface".')
    if math.isinf(min(getattr(c, key) for key in SINKS)):
        yield Problem(
            f"{of('conditions.electrode_thickness_um')}: no vacancy could end anywhere",
            "Give it in µm, for example 1000, or a sink_length_um or sink_depth_um.",
        )
    if not run.has_protocol and c.overpotential_V is not None:
        text = f"{of(VOLTAGE)}: a population of voids has no held voltage"
        yield Problem(text, "Give a current.")
    elif not run.has_protocol and c.current_density_mA_cm2 <= 0:
        when = "while plating" if c.current_density_mA_cm2 < 0 else "without a current"
        yield Problem(
            f"{of(CURRENT)}: no voids begin {when}",
            "Give a current above 0; a [rest] follows it, steps of [[protocol]] plate.",
        )
    # A population is integrated in time: it has no events to count.
    if run.rest.events is not None:
        yield Problem(f"{of('rest.events')}: a population has no events", "Give rest.time_s.")


def _rounding(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Whether the resolution fits the square, and voids round off in one stated way."""
    upscale, of = run.upscale, partial(origin.of, run)
    if upscale.resolution_um > 0.5 * (upscale.domain_um or math.inf):
        yield Problem(
            f"{of('upscale.resolution_um')} is more than half of the square of "
            f"{upscale.domain_um:g} µm",
            "Use a smaller resolution, or a larger domain_um.",
        )
    if upscale.rounding_length_um is None:
        return
    twice = "and rounding_length_um say the same twice"
    if upscale.relaxation == "instant":
        yield Problem(f"{of('upscale.relaxation')} {twice}", "Remove relaxation.")
    changed = upscale.relaxation_constant != _DEFAULTS.relaxation_constant
    if upscale.relaxation == "kinetic" and changed:
        stated = of("upscale.relaxation_constant")
        yield Problem(f"{stated} {twice}", "Remove relaxation_constant.")


def _pressure(run: RunFile, origin: Origin) -> Iterator[Problem]:
    upscale, of, pressed = run.upscale, partial(origin.of, run), under_pressure(run)
    # All or none of no pressure is no contradiction.
    if upscale.pressure_share not in (0.0, 1.0) and not pressed:
        yield Problem(
            f"{of('upscale.pressure_share')} is the share of a stack pressure, and there is none",
            "Give conditions.stack_pressure_MPa, or remove pressure_share.",
        )
    viscous = upscale.body == "viscous" or (
        upscale.body is None and pressed and upscale.pressure_share
    )
    if upscale.adhesion_MPa != math.inf and not viscous:
        yield Problem(
            f"{of('upscale.adhesion_MPa')} has no meaning for a rigid body, whose contact bears "
            "any tension",
            'Set upscale.body = "viscous", or remove adhesion_MPa.',
        )
    if upscale.counter_electrode_share and not upscale.fixture_stiffness_MPa_per_um:
        yield Problem(
            f"{of('upscale.counter_electrode_share')} changes nothing under a constant pressure",
            "Give upscale.fixture_stiffness_MPa_per_um, or remove counter_electrode_share.",
        )
    if upscale.contact_angle_hysteresis_deg and upscale.relaxation == "instant":
        yield Problem(
            f"{of('upscale.contact_angle_hysteresis_deg')} pins rims, and voids that are discs at "
            "once have none",
            'Remove it, or relaxation = "instant".',
        )
    if "creep_stress_limit_MPa" in run.parameters:
        yield Problem(
            f"parameters.creep_stress_limit_MPa of the run {origin.source} is for boxes: contact "
            "of a population bears what the flow of its metal asks for",
            "Remove it.",
        )


def _steps(run: RunFile, origin: Origin) -> Iterator[Problem]:
    if not run.has_protocol:
        return
    yield from steps_instead(run, origin)
    steps = run.protocol.plan
    for n, _, step in steps:
        if step.do == HOLD:
            text = f"step {n} of [[protocol]] ({step}): a population of voids has no held voltage"
            advice = "Strip or plate with a current, until an overpotential_V where wanted."
        elif step.temperature_K is not None:
            text = f"step {n} of [[protocol]] has temperature_K = {step.temperature_K:g}: "
            text += "a population of voids has one temperature"
            advice = "Give conditions.temperature_K for the whole run."
        else:
            continue
        yield Problem(text, advice)
        break  # the other steps are likely to be the same
    if not any(planned.step.do == STRIP for planned in steps):
        yield Problem("no step of [[protocol]] strips", "Without it no voids begin.")


def _grid(run: RunFile, origin: Origin) -> Iterator[Problem]:
    upscale = run.upscale
    if upscale.grid_um is None or upscale.domain_um is None:
        return
    n_cells = cells_along_edge(upscale.domain_um, upscale.grid_um)
    if n_cells > MAX_CELLS:
        yield Problem(
            f"{origin.of(run, 'upscale.grid_um')} makes {n_cells} × {n_cells} cells of a square of "
            f"{upscale.domain_um:g} µm, more than memory should hold",
            f"Use {1.1 * upscale.domain_um / MAX_CELLS:.2g} or more, or a smaller domain_um.",
        )


def _flaws(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Flaws have a density and a radius, and room; without a field there is nothing else."""
    upscale, of = run.upscale, partial(origin.of, run)
    density_per_um2, radius_nm = upscale.flaw_density_per_um2, upscale.flaw_radius_nm
    sizes = {"flaw_density_per_um2": density_per_um2, "flaw_radius_nm": radius_nm}
    if upscale.nucleation == "homogeneous":
        sizes["flaw_radius_sigma"] = upscale.flaw_radius_sigma or None
        sizes["flaws_reopen"] = None if upscale.flaws_reopen else 0.0
        for key in [key for key, value in sizes.items() if value is not None]:
            yield Problem(
                f'{of(f"upscale.{key}")} has no meaning with nucleation = "homogeneous"',
                'Set nucleation = "flaws" or "both", or remove the key.',
            )
    elif density_per_um2 is None or radius_nm is None:
        missing = " and ".join(key for key, value in sizes.items() if value is None)
        yield Problem(f"{of('upscale.nucleation')} needs {missing}", "Give both in [upscale].")
    else:
        edge = upscale.edge_um(0.0)
        # The expected number, as the drawn one is Poisson: below 1 the square may have none.
        number = density_per_um2 * edge**2
        stated = of("upscale.flaw_density_per_um2")
        # The mean of r² of a lognormal distribution of the median r0 is r0² exp(2 σ²).
        mean_square = (radius_nm * 1e-3) ** 2 * math.exp(2 * upscale.flaw_radius_sigma**2)
        # An upper bound: where discs at random places overlap, both areas count.
        covered = density_per_um2 * math.pi * mean_square
        if number < 1:
            text, advice = f"is no flaw in a square of {edge:g} µm", f"Use {1 / edge**2:.2g} or "
            yield Problem(f"{stated} {text}", advice + "more, or a larger domain_um.")
        elif number > _MAX_FLAWS:
            text = f"{stated} is {number:.2g} flaws in the square"
            yield Problem(text, f"Use at most {_MAX_FLAWS}.")
        elif covered > 0.5:
            yield Problem(
                f"{stated} with {of('upscale.flaw_radius_nm')} covers {100 * covered:.3g} % of the "
                "interface before it begins",
                "Use smaller or fewer flaws: at most half of the interface.",
            )
