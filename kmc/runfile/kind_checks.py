"""Checks of runs with a section of their own: those that all share, and those of each kind."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kmc.common.validation import Problem
from kmc.errors import InputError
from kmc.model.adatoms import NEEDED as NEEDED_OF_SUBSTRATE
from kmc.model.adatoms import check_same_metal
from kmc.runfile import kinds
from kmc.runfile.checks import SINKS, differs, load_all, steps_instead
from kmc.runfile.kind_sections import MAX_CELLS, Upscale, cells_along_edge
from kmc.runfile.protocol import CHARGES, HOLD, STRIP
from kmc.runfile.run_file import Origin, Rule, RunFile, broken

MAX_SITES = 20_000_000  # of a deposition: 8 arrays a site, 400 MB
NEEDED = ("youngs_modulus_GPa", "poisson_ratio")
NEEDED_OF_ACTIVE = (*NEEDED, "lithiation_volume_change")
CREEP = ("creep_reference_rate_per_s", "creep_reference_stress_MPa", "strain_rate_sensitivity")


def unused_keys(run: RunFile, origin: Origin) -> list[Problem]:
    """Sections of two kinds of run, or keys that a run file gives and its kind does not use."""
    given, kind = run.model_fields_set, kinds.KINDS[run.kind]
    if len(several := [f"[{name}]" for name in kinds.sections() if name in given]) > 1:
        text = f"{' and '.join(several)} in {origin.source} exclude each other"
        return [Problem(text, "Keep one of them.")]
    if kind.uses is None:
        return []
    return [
        Problem(
            f"{origin.of(run, f'{section}.{key}')} has no meaning in a run with [{kind.section}]",
            f"Remove it; of [{section}] it uses {', '.join(used) or 'nothing'}.",
        )
        for section in sorted(given - {kind.section, "parameters"})
        for used in [kind.uses.get(section, ())]
        for key in sorted(getattr(run, section).model_fields_set - set(used))
        if getattr(getattr(run, section), key) is not None
    ]


_SIZE = Rule(
    lambda run: math.prod(run.system.size) > MAX_SITES,
    "{system.size} is {sites} sites",
    f"Use at most {MAX_SITES}.",
)
_WITHOUT_STEPS = (
    Rule(
        lambda run: run.conditions.current_density_mA_cm2 <= 0,
        "{conditions.current_density_mA_cm2}: nothing is plated",
        "Give a current above 0.",
    ),
    Rule(
        lambda run: not any(getattr(run.stop, key) for key in CHARGES),
        "section [stop] of {source} has no capacity: the deposition never ends",
        "Give capacity_monolayers or capacity_mAh_cm2.",
    ),
)
_ACCELERATION = Rule(
    lambda run: (
        run.acceleration.max_hops_per_strip_per_site is not None
        and run.acceleration.saddle_floor_eV is not None
    ),
    "{acceleration.max_hops_per_strip_per_site} and saddle_floor_eV exclude each other",
    "Keep one of them.",
)
_EQUILIBRIUM = Rule(
    lambda run: run.acceleration.max_hops_per_strip_per_site == math.inf,
    "{acceleration.max_hops_per_strip_per_site} is for the vacancies of a box of atoms",
    "Give a ratio such as 1e6: adatoms have no equilibrium between ions.",
)


def deposition_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a deposition whose single values are all in order."""
    rules = [_SIZE, *(() if run.has_protocol else _WITHOUT_STEPS), _ACCELERATION, _EQUILIBRIUM]
    problems = broken(rules, run, origin, sites=str(math.prod(run.system.size)))
    # Substrate and islands have the energies of adatoms, on the same metal.
    needs = dict.fromkeys(("system.params", "deposition.island_params"), NEEDED_OF_SUBSTRATE)
    such_as = "of a substrate, such as li_zno_002, li_lizn or li_carbon"
    found = load_all(run, origin, needs, "a substrate", such_as)
    if isinstance(found, Problem):
        problems.insert(0, found)
    else:
        try:
            check_same_metal(list(found.values()))
        except InputError as error:
            problems.insert(0, Problem(error.message, error.advice or ""))
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


_FRACTIONS = (
    Rule(
        # Swelling needs pores: without them only elastic compression would make room.
        lambda run: run.cathode.active_fraction + run.cathode.frame_fraction > 0.95,
        "{cathode.active_fraction} with frame_fraction = {run.cathode.frame_fraction:g} leaves "
        "{pores} of the volume for pores",
        "At least 0.05 must be pores.",
    ),
    Rule(
        # With fewer grains the percolation of the frame is that of this one box.
        lambda run: run.cathode.edge_sites < 2 * run.cathode.grain_sites,
        "{cathode.grain_sites} is more than half of edge_sites = {run.cathode.edge_sites}",
        "A representative volume holds many grains: at least four.",
    ),
)


def cathode_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a cathode whose single values are all in order."""
    pores = 1 - (run.cathode.active_fraction + run.cathode.frame_fraction)
    return [*_materials(run, origin), *broken(_FRACTIONS, run, origin, pores=f"{pores:.3g}")]


def _materials(run: RunFile, origin: Origin) -> list[Problem]:
    """The sets have elastic constants, and both states of the active material creep or neither."""
    others = ("cathode.lithiated_params", "cathode.frame_params")
    needs = {"system.params": NEEDED_OF_ACTIVE, **dict.fromkeys(others, NEEDED)}
    noun, such_as = "a material of a cathode", "such as se, li2se, fes, licoo2 or mo6se8"
    found = load_all(run, origin, needs, noun, such_as)
    if isinstance(found, Problem):
        return [found]
    # A law of creep is whole or absent.
    creep = [place for place, of in found.items() if any(of.has(quantity) for quantity in CREEP)]
    found = load_all(run, origin, dict.fromkeys(creep, CREEP), noun, such_as)
    if isinstance(found, Problem):
        return [found]
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


_RULES = (
    Rule(
        lambda run: run.upscale.shape == "aspect" and run.upscale.aspect_ratio is None,
        "{upscale.shape} needs aspect_ratio",
        "Give upscale.aspect_ratio.",
    ),
    Rule(
        # The angle gives a cap its height, which an aspect ratio states.
        lambda run: run.upscale.shape == "aspect" and run.upscale.contact_angle_deg is not None,
        '{upscale.contact_angle_deg} has no meaning with shape = "aspect"',
        "Remove it.",
    ),
    Rule(
        lambda run: run.upscale.shape != "aspect" and run.upscale.aspect_ratio is not None,
        '{upscale.aspect_ratio} has no meaning with shape = "{run.upscale.shape}"',
        "Remove it.",
    ),
    Rule(
        lambda run: run.system.boundary == "periodic",
        "{system.boundary}: [upscale] needs an interface",
        'Set boundary = "interface".',
    ),
    Rule(
        lambda run: math.isinf(min(getattr(run.conditions, key) for key in SINKS)),
        "{conditions.electrode_thickness_um}: no vacancy could end anywhere",
        "Give it in µm, for example 1000, or a sink_length_um or sink_depth_um.",
    ),
    Rule(
        lambda run: not run.has_protocol and run.conditions.overpotential_V is not None,
        "{conditions.overpotential_V}: a population of voids has no held voltage",
        "Give a current.",
    ),
    Rule(
        lambda run: (
            not run.has_protocol
            and run.conditions.overpotential_V is None
            and run.conditions.current_density_mA_cm2 <= 0
        ),
        "{conditions.current_density_mA_cm2}: without a current no voids begin",
        "Give a current above 0; a [rest] with time_s follows it.",
    ),
    Rule(
        # A population is integrated in time: it has no events to count.
        lambda run: run.rest.events is not None,
        "{rest.events}: a population has no events",
        "Give rest.time_s.",
    ),
    Rule(
        lambda run: run.upscale.resolution_um > 0.5 * (run.upscale.domain_um or math.inf),
        "{upscale.resolution_um} is more than half of the square of {run.upscale.domain_um:g} µm",
        "Use a smaller resolution, or a larger domain_um.",
    ),
    # One way of saying how fast voids round off, and not that they do not.
    Rule(
        lambda run: run.upscale.relaxation == "none",
        "{upscale.relaxation}: without rounding the rim of a spreading void has no thickness, and "
        "the grid alone would say how far it spreads",
        "Give upscale.rounding_length_um, 0.3 or more; or leave relaxation out.",
    ),
    Rule(
        lambda run: (
            run.upscale.rounding_length_um is not None and run.upscale.relaxation == "instant"
        ),
        "{upscale.relaxation} and rounding_length_um say the same twice",
        "Remove relaxation.",
    ),
    Rule(
        lambda run: (
            run.upscale.rounding_length_um is not None
            and run.upscale.relaxation == "kinetic"
            and differs("upscale", "relaxation_constant", _DEFAULTS.relaxation_constant, run)
        ),
        "{upscale.relaxation_constant} and rounding_length_um say the same twice",
        "Remove relaxation_constant.",
    ),
    Rule(
        # All or none of no pressure is no contradiction.
        lambda run: run.upscale.pressure_share not in (0.0, 1.0) and not under_pressure(run),
        "{upscale.pressure_share} is the share of a stack pressure, and there is none",
        "Give conditions.stack_pressure_MPa, or remove pressure_share.",
    ),
    Rule(
        lambda run: (
            differs("upscale", "adhesion_MPa", math.inf, run)
            and run.upscale.body != "viscous"
            and not (
                run.upscale.body is None and under_pressure(run) and run.upscale.pressure_share
            )
        ),
        "{upscale.adhesion_MPa} has no meaning for a rigid body, whose contact bears any tension",
        'Set upscale.body = "viscous", or remove adhesion_MPa.',
    ),
    Rule(
        lambda run: (
            differs("upscale", "counter_electrode_share", 0.0, run)
            and not run.upscale.fixture_stiffness_MPa_per_um
        ),
        "{upscale.counter_electrode_share} changes nothing under a constant pressure",
        "Give upscale.fixture_stiffness_MPa_per_um, or remove counter_electrode_share.",
    ),
    Rule(
        lambda run: "creep_stress_limit_MPa" in run.parameters,
        "parameters.creep_stress_limit_MPa of the run {source} is for boxes: contact of a "
        "population bears what the flow of its metal asks for",
        "Remove it.",
    ),
)


def under_pressure(run: RunFile) -> bool:
    """Whether any part of the run is under a stack pressure."""
    own = (planned.step.stack_pressure_MPa for planned in run.protocol.plan)
    # A stiff fixture comes under pressure where the counter electrode swells.
    stiff = run.upscale.fixture_stiffness_MPa_per_um
    return bool(run.conditions.stack_pressure_MPa or stiff) or any(own)


def upscale_checks(run: RunFile, origin: Origin) -> list[Problem]:
    """What is wrong with a run of a population whose single values are all in order."""
    upscale, problems = run.upscale, [*_flaws(run, origin), *broken(_RULES, run, origin)]
    if run.has_protocol:
        problems += steps_instead(run, origin)
        steps = run.protocol.plan
        for n, _, step in steps:
            if step.do == HOLD:
                text = (
                    f"step {n} of [[protocol]] ({step}): a population of voids has no held voltage"
                )
                advice = "Strip or plate with a current, until an overpotential_V where wanted."
            elif step.temperature_K is not None:
                text = (
                    f"step {n} of [[protocol]] has temperature_K = {step.temperature_K:g}: a "
                    "population of voids has one temperature"
                )
                advice = "Give conditions.temperature_K for the whole run."
            else:
                continue
            problems.append(Problem(text, advice))
            break  # the other steps are likely to be the same
        if not any(planned.step.do == STRIP for planned in steps):
            text = "no step of [[protocol]] strips"
            problems.append(Problem(text, "Without it no voids begin."))
    if upscale.grid_um is None or upscale.domain_um is None:
        return problems
    n_cells = cells_along_edge(upscale.domain_um, upscale.grid_um)
    if n_cells > MAX_CELLS:
        text = (
            f"{origin.of(run, 'upscale.grid_um')} makes {n_cells} × {n_cells} cells of a square of "
            f"{upscale.domain_um:g} µm, more than memory should hold"
        )
        least = f"{1.1 * upscale.domain_um / MAX_CELLS:.2g}"
        problems.append(Problem(text, f"Use {least} or more, or a smaller domain_um."))
    return problems


def _flaws(run: RunFile, origin: Origin) -> Iterator[Problem]:
    """Flaws have a density and a radius, and room; without a field there is nothing else."""
    upscale = run.upscale
    keys = ("flaw_density_per_um2", "flaw_radius_nm")
    given = [
        key
        for key in (*keys, "flaw_radius_sigma")
        if differs("upscale", key, getattr(_DEFAULTS, key), run)
    ]
    if upscale.sharing == "equal":
        yield Problem(
            f"{origin.of(run, 'upscale.sharing')}: gaps take up what diffusion brings them",
            "Remove it; kmc 0.1 compared with equal shares.",
        )
        return
    if upscale.nucleation == "homogeneous":
        for key in given:
            yield Problem(
                f"{origin.of(run, f'upscale.{key}')} has no meaning with nucleation = "
                '"homogeneous"',
                'Set nucleation = "flaws" or "both", or remove the key.',
            )
        return
    if missing := [key for key in keys if key not in given]:
        stated = origin.of(run, "upscale.nucleation")
        yield Problem(f"{stated} needs {' and '.join(missing)}", "Give both in [upscale].")
        return
    assert upscale.flaw_density_per_um2 is not None
    assert upscale.flaw_radius_nm is not None
    edge = upscale.edge_um(0.0)
    # The expected number, as the drawn one is Poisson: below 1 the square may have none.
    number = upscale.flaw_density_per_um2 * edge**2
    stated = origin.of(run, "upscale.flaw_density_per_um2")
    # The mean of r² of a lognormal distribution of the median r0 is r0² exp(2 σ²).
    mean_square = (upscale.flaw_radius_nm * 1e-3) ** 2 * math.exp(2 * upscale.flaw_radius_sigma**2)
    # An upper bound: where discs at random places overlap, both areas count.
    covered = upscale.flaw_density_per_um2 * math.pi * mean_square
    if number < 1:
        yield Problem(
            f"{stated} is no flaw in a square of {edge:g} µm",
            f"Use {1 / edge**2:.2g} or more, or a larger domain_um.",
        )
    elif number > _MAX_FLAWS:
        yield Problem(f"{stated} is {number:.2g} flaws in the square", f"Use at most {_MAX_FLAWS}.")
    elif covered > 0.5:
        yield Problem(
            f"{stated} with {origin.of(run, 'upscale.flaw_radius_nm')} covers "
            f"{100 * covered:.3g} % of the interface before it begins",
            "Use smaller or fewer flaws: at most half of the interface.",
        )
