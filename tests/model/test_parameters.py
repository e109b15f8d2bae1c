"""Parameter sets: the shipped numbers against the paper, and files that cannot be used."""

from __future__ import annotations

import doctest
import json
import math

import pytest
from pydantic import ValidationError

from kmc.common import catalogue, units
from kmc.errors import InputError
from kmc.model import quantities
from kmc.model.parameters import ParameterSet, Quantity, load_parameters
from kmc.model.quantities import QUANTITIES

SHIPPED = ("lattice_gas", "li_li2s", "limg_li2s")

# Typed from the paper (10.1038/s41467-025-59567-8), independently of the TOML files.
PAPER = {
    "molar_volume_cm3_mol": 12.97,
    "formation_energy_bulk_eV": 0.50,
    "formation_energy_L1_eV": 0.28,
    "formation_energy_L1_to_L2_eV": 0.15,
    "barrier_Li_eV": 0.055,
    "barrier_Li_near_Mg_eV": 0.061,
    "barrier_Mg_eV": 0.102,
    "formation_energy_Mg_shell1_eV": 0.53,
    "formation_energy_Mg_shell3_eV": 0.50,
    "fill_Li_near_Mg_eV": -0.16,
    "fill_Mg_near_Mg_eV": -0.67,
    "fill_Li_far_from_Mg_eV": 0.13,
    "work_of_adhesion_J_m2": 0.39,
    "contact_angle_deg": 93.6,
    "contact_angle_alloy_deg": 87.1,
    "diffusivity_Mg_25C_cm2_s": 2.06e-13,
    "diffusivity_Mg_60C_cm2_s": 2.42e-12,
    "alloy_Mg_fraction": 0.03,
    "foil_thickness_um": 100.0,
}
INPUTS = {
    "lattice_parameter_A": 3.506,
    "attempt_frequency_Hz": 2.6e12,
    "second_shell_ratio": 0.5,
    "formation_energy_Mg_shell2_eV": 0.515,
    "exchange_current_density_mA_cm2": 1.0,
    "charge_transfer_coefficient": 0.5,
    "rim_exchange_weight": 39.0,
    "electrolyte_conductivity_mS_cm": 3.5,
    "electrolyte_activation_eV": 0.309,
    "creep_reference_rate_per_s": 0.01,
    "creep_reference_stress_MPa": 1.0,
    "creep_exponent": 6.6,
    "creep_activation_energy_kJ_mol": 37.0,
    "creep_stress_limit_MPa": 10.0,
}
ASSUMED = set(INPUTS) - {
    "lattice_parameter_A",
    "electrolyte_conductivity_mS_cm",
    "electrolyte_activation_eV",
}

MINIMAL = """
name = "mine"
description = "a set of mine"
species = ["Li"]

[sources.A]
citation = "A. Author, J. Tests 1 (2020)"
title = "On tests"
doi = "10.1000/xyz"

[quantities.barrier_Li_eV]
value = 0.055
unit = "eV"
source = "A"
note = "Table 1"
"""


@pytest.fixture
def write(tmp_path):
    """Writes a parameter file and returns its path."""

    def write_file(text):
        path = tmp_path / "mine.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def refusal(path, **kwargs) -> InputError:
    with pytest.raises(InputError) as caught:
        load_parameters(path, **kwargs)
    assert caught.value.exit_code == 2
    assert "pydantic" not in str(caught.value).lower()
    return caught.value


def test_a_quantity_of_an_earlier_version_is_left_out_with_a_warning(write):
    """The file loads; the warning names the key, the file, what changed and what to do."""
    old = """
[sources.B]
citation = "B. Author, J. Tests 2 (2021)"
title = "On magnified contacts"
doi = "10.1000/2"

[quantities.contact_magnification]
value = 4e6
unit = "1"
source = "B"
note = "chosen for a figure that has gone"
"""
    path = write(MINIMAL + old)
    with pytest.warns(UserWarning, match="contact_pattern_um") as warned:
        parameters = load_parameters(path)
    assert "contact_magnification" in str(warned[0].message)
    assert str(path) in str(warned[0].message)
    assert "contact_magnification" not in parameters
    assert "B" not in parameters.sources
    with pytest.warns(UserWarning, match="contact_magnification in the overrides"):
        load_parameters("li_li2s", {"contact_magnification": 1.0})


# --- the shipped numbers --------------------------------------------------------------------------


def test_alloy_set_holds_the_numbers_of_the_paper():
    alloy = load_parameters("limg_li2s")
    assert {key: q.value for key, q in alloy.quantities.items()} == PAPER | INPUTS
    assert alloy.species == ("Li", "Mg")


def test_lithium_set_agrees_with_the_alloy_set():
    lithium, alloy = load_parameters("li_li2s"), load_parameters("limg_li2s")
    assert lithium.species == ("Li",)
    assert not any("Mg" in key for key in lithium.quantities)
    assert {key: alloy[key] for key in lithium.quantities} == lithium.quantities


def test_values_from_the_paper_name_it_and_assumptions_are_marked():
    alloy = load_parameters("limg_li2s")
    for key in PAPER:
        assert alloy[key].source == ("S4",), key
        assert not alloy[key].assumed, key
    assert {key for key, q in alloy.quantities.items() if q.assumed} == ASSUMED
    assert alloy.sources["S4"].url == "https://doi.org/10.1038/s41467-025-59567-8"


@pytest.mark.parametrize("name", SHIPPED)
def test_every_number_has_unit_note_and_source_or_is_assumed(name):
    for key, quantity in load_parameters(name).quantities.items():
        assert quantity.unit == units.unit_of(key)
        assert len(quantity.note) > 15
        assert "\n" not in quantity.note
        assert quantity.source or quantity.assumed


def test_lattice_gas_is_all_our_own_choice():
    gas = load_parameters("lattice_gas")
    assert gas.value("pair_bond_eV") == 0.1
    assert gas.value("attempt_frequency_Hz") == 1e12
    assert all(quantity.assumed for quantity in gas.quantities.values())
    assert gas.sources == {}


def test_the_rearranged_figure_is_on_record():
    """In Fig. 2g Mg and vacancy are 7.2 Å apart; the model exchanges two neighbours."""
    assert "7.2 Å" in load_parameters("limg_li2s")["fill_Mg_near_Mg_eV"].note


def test_lattice_parameter_follows_from_the_molar_volume():
    """Two atoms per cubic cell: a = (2 V/N_A)^(1/3)."""
    alloy = load_parameters("limg_li2s")
    edge_cm = (2 * alloy.value("molar_volume_cm3_mol") / units.N_A) ** (1 / 3)
    assert alloy.value("lattice_parameter_A") == pytest.approx(edge_cm * 1e8, rel=5e-4)


@pytest.mark.validation
def test_attempt_frequency_gives_the_diffusivities_of_mg():
    """D = a² ν exp(−(E_f + E0)/kT); the ratio of 60 to 25 °C is 11.72 (11.75 in the paper).

    D itself to 5 %: ν has two digits, 2 %, and its D is 3.5 % above the paper's at 25 °C.
    """
    alloy = load_parameters("limg_li2s")
    energy = alloy.value("formation_energy_bulk_eV") + alloy.value("barrier_Mg_eV")
    edge_cm = alloy.value("lattice_parameter_A") * 1e-8

    def diffusivity(celsius):
        boltzmann = math.exp(-energy / (units.K_B_eV * (celsius + 273.15)))
        return edge_cm**2 * alloy.value("attempt_frequency_Hz") * boltzmann

    assert diffusivity(60) / diffusivity(25) == pytest.approx(11.72, abs=0.01)
    for celsius in (25, 60):
        stated = alloy.value(f"diffusivity_Mg_{celsius}C_cm2_s")
        assert diffusivity(celsius) == pytest.approx(stated, rel=0.05)


# --- units ----------------------------------------------------------------------------------------


def test_constants_are_those_of_the_si():
    assert units.K_B_eV == pytest.approx(8.617333262e-5, rel=1e-10)
    faraday_C_mol = units.E_C * units.N_A
    assert faraday_C_mol == pytest.approx(96485.33212, rel=1e-10)


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        ("exchange_current_density_mA_cm2", "mA/cm2"),
        ("lattice_parameter_A", "Å"),
        ("capacity_mAh_cm2", "mAh/cm2"),
        ("diffusivity_Mg_25C_cm2_s", "cm2/s"),
        ("time_s", "s"),
        ("patch_density_per_um2", "1/µm2"),
        ("void_height_nm", "nm"),
        ("second_shell_ratio", "1"),
        ("events", "1"),
    ],
)
def test_unit_of_a_key(key, unit):
    assert units.unit_of(key) == unit


@pytest.mark.parametrize(
    ("key", "text"),
    [("second_shell_ratio", "from 0 to 2"), ("barrier_Li_eV", "from 0 to 10 eV")],
)
def test_a_range_has_a_unit_where_there_is_one(key, text):
    assert QUANTITIES[key].allowed(units.unit_of(key)) == text


def test_spellings_of_a_unit():
    assert units.same_unit("cm²/s", "cm2/s")
    assert units.same_unit("\u00b5m", "\u03bcm")
    assert units.same_unit("\u212b", "Å")  # the Ångström sign
    assert not units.same_unit("meV", "eV")


def test_doctests_of_units():
    assert doctest.testmod(units).failed == 0


# --- using a set ----------------------------------------------------------------------------------


def test_lookup():
    lithium = load_parameters("li_li2s")
    assert lithium.value("barrier_Li_eV") == 0.055
    assert lithium.has("barrier_Li_eV")
    assert "barrier_Li_eV" in lithium
    assert not lithium.has("barrier_Mg_eV")
    assert str(lithium["barrier_Li_eV"]) == "0.055 eV"
    assert str(lithium["second_shell_ratio"]) == "0.5"
    assert lithium.origin.endswith("li_li2s.toml")


def test_lookup_of_what_is_not_there_names_set_and_nearest_key():
    with pytest.raises(InputError) as caught:
        load_parameters("li_li2s").value("barrier_li_eV")
    assert "'li_li2s' has no 'barrier_li_eV'" in caught.value.message
    assert "Did you mean 'barrier_Li_eV'?" in caught.value.advice


def test_a_set_cannot_be_changed():
    lithium = load_parameters("li_li2s")
    with pytest.raises(ValidationError):
        lithium.name = "other"
    with pytest.raises(ValidationError):
        lithium["barrier_Li_eV"].value = 1.0


def test_resolved_is_json():
    resolved = load_parameters("limg_li2s").resolved()
    assert json.loads(json.dumps(resolved, allow_nan=False)) == resolved
    assert resolved["barrier_Mg_eV"] == {
        "value": 0.102,
        "unit": "eV",
        "source": ["S4"],
        "note": "Text: hop of Mg in dilute Li-Mg.",
        "assumed": False,
    }


def test_bibtex_and_who_rests_on_a_source():
    lithium = load_parameters("li_li2s")
    entry = lithium.sources["S4"].bibtex("S4")
    assert entry.startswith("@article{S4,\n")
    assert "doi = {10.1038/s41467-025-59567-8}" in entry
    assert "author = {Zhao, Lihong and " in entry
    assert "formation_energy_L1_eV" in lithium.cited_by("S4")
    assert "second_shell_ratio" not in lithium.cited_by("S4")


# --- overrides ------------------------------------------------------------------------------------


def test_override():
    changed = load_parameters("li_li2s", {"second_shell_ratio": 1})
    quantity = changed["second_shell_ratio"]
    assert quantity.value == 1.0
    assert isinstance(quantity.value, float)
    assert quantity.note.startswith("overridden by the run file")
    assert quantity.source == ()
    assert changed.value("barrier_Li_eV") == 0.055
    assert load_parameters("li_li2s").value("second_shell_ratio") == 0.5


@pytest.mark.parametrize(
    ("overrides", "message", "advice"),
    [
        ({"barier_Li_eV": 0.1}, "is not a quantity of parameter set 'li_li2s'", "'barrier_Li_eV'"),
        ({"barrier_Mg_eV": 0.1}, "is not a quantity of parameter set 'li_li2s'", "It has: "),
        ({"barrier_Li_eV": "0.1"}, 'barrier_Li_eV = "0.1" in the overrides must be a number', ""),
        ({"barrier_Li_eV": True}, "must be a number, not true or false", ""),
        ({"barrier_Li_eV": math.nan}, "is not a number", ""),
        ({"barrier_Li_eV": math.inf}, "must be finite", ""),
        ({"barrier_Li_eV": -0.1}, "barrier_Li_eV = -0.1", "from 0 to 10 eV"),
        ({"lattice_parameter_A": 0}, "lattice_parameter_A = 0", "from 0.1 to 100"),
        ({"formation_energy_bulk_eV": 500}, "out of range", "at most 10 eV"),
    ],
)
def test_override_refused(overrides, message, advice):
    error = refusal("li_li2s", overrides=overrides)
    assert message in error.message
    assert advice in (error.advice or "")


# --- a user's own file ----------------------------------------------------------------------------


def test_own_file(write):
    mine = load_parameters(write(MINIMAL))
    assert mine.name == "mine"
    assert mine["barrier_Li_eV"] == Quantity(
        value=0.055, unit="eV", source=("A",), note="Table 1", assumed=False
    )


@pytest.mark.parametrize(
    ("old", "new", "message", "advice"),
    [
        ("barrier_Li_eV", "barrier_Li_ev", "'barrier_Li_ev' is not a quantity", "'barrier_Li_eV'"),
        ('unit = "eV"', 'unit = "meV"', 'unit = "meV"', 'write unit = "eV"'),
        ("value = 0.055", 'value = "0.055"', "must be a number, not text", "without quotes"),
        ("value = 0.055", "value = true", "must be a number, not true or false", ""),
        ("value = 0.055", "value = nan", "value = nan", ""),
        ("value = 0.055", "value = inf", "must be finite", ""),
        ("value = 0.055", "value = -1", "value = -1", "from 0 to 10 eV"),
        ("value = 0.055", "value = 55", "out of range", "from 0 to 10 eV"),
        ("value = 0.055", "", "has no 'value'", "value, unit, source"),
        ('note = "Table 1"', "", "has no 'note'", ""),
        ('note = "Table 1"', 'note = " "', "empty note", "reason for the assumption"),
        ('note = "Table 1"', "note = 1", "must be text, not a number", ""),
        ('source = "A"', "", "has no source", "assumed = true"),
        ('source = "A"', 'source = "B"', 'source = "B"', "Sources of the file: A"),
        ('source = "A"', "source = 3", "must be a key of [sources]", ""),
        ('source = "A"', 'source = "A"\nasumed = true', "'asumed'", "Did you mean 'assumed'?"),
        ('source = "A"', 'source = "A"\nassumed = 1', "is not true or false", ""),
        ('["Li"]', '["Li", "Na"]', "is not a set of species", '["Li", "Mg"]'),
        ('doi = "10.1000/xyz"', 'doi = "https://doi.org/10.1/x"', "is not a DOI", "bare"),
        ('doi = "10.1000/xyz"', "", "has no 'doi'", ""),
        ('description = "a set of mine"', "", "has no 'description'", ""),
        ("species", "specie", "'specie'", "Did you mean 'species'?"),
    ],
)
def test_own_file_refused(write, old, new, message, advice):
    assert MINIMAL.count(old) == 1 or old in ("species", "barrier_Li_eV")
    path = write(MINIMAL.replace(old, new, 1))
    error = refusal(path)
    assert message in str(error)
    assert advice in str(error)
    assert str(path) in str(error)


def test_a_source_nobody_uses(write):
    extra = '\n[sources.B]\ncitation = "B"\ntitle = "B"\ndoi = "10.1000/b"\n'
    assert "[sources.B]" in refusal(write(MINIMAL + extra)).message


def test_every_problem_of_a_file_is_told_at_once(write):
    text = MINIMAL.replace("value = 0.055", 'value = "x"').replace('note = "Table 1"', "")
    error = refusal(write(text))
    assert "2 problems" in error.message
    assert "must be a number" in error.message
    assert "has no 'note'" in error.message


def test_a_table_that_is_not_one(write):
    assert "must be a table" in str(refusal(write(MINIMAL.split("[sources")[0] + "quantities = 3")))


# --- a set that builds on another -----------------------------------------------------------------

ON_BASE = """\
name = "mine"
description = "another interface"
species = ["Li"]
base = "li_li2s"

[quantities.formation_energy_L1_eV]
value = 0.4
unit = "eV"
note = "A guess of ours, to see."
assumed = true
"""


def test_a_set_takes_the_inputs_of_its_base(write):
    mine, base = load_parameters(write(ON_BASE)), load_parameters("li_li2s")
    assert mine.base == "li_li2s"
    assert mine.value("formation_energy_L1_eV") == 0.4
    inputs = {key for key in base.quantities if quantities.QUANTITIES[key].role == "input"}
    assert set(mine.quantities) == inputs
    others = inputs - {"formation_energy_L1_eV"}
    assert {key: mine[key] for key in others} == {key: base[key] for key in others}
    assert mine.sources == base.sources


def test_a_base_is_found_beside_its_file(write, tmp_path):
    (tmp_path / "base.toml").write_text(MINIMAL, encoding="utf-8")
    text = ON_BASE.replace('"li_li2s"', '"base.toml"')
    mine = load_parameters(write(text))
    assert set(mine.quantities) == {"barrier_Li_eV", "formation_energy_L1_eV"}
    assert set(mine.sources) == {"A"}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ('"li_lis2"', "'li_lis2' is not among the shipped params"),
        ('"mine.toml"', "has a base itself"),
        ('"li_philic_015"', "has a base itself"),
        ("3", "must be text, not a number"),
    ],
)
def test_a_base_refused(write, base, message):
    assert message in str(refusal(write(ON_BASE.replace('"li_li2s"', base))))


def test_mistakes_beside_a_base_are_told_like_any_other(write):
    assert "must be a table" in str(refusal(write("sources = 3\n" + ON_BASE)))
    assert "has no 'note'" in str(refusal(write(ON_BASE.replace("note = ", "# "))))


# --- the family of interfaces ---------------------------------------------------------------------

FAMILY = {
    "li_phobic_022": -0.22,
    "li_phobic_011": -0.11,
    "li_neutral": 0.0,
    "li_philic_008": 0.08,
    "li_philic_015": 0.15,
}


@pytest.mark.parametrize(("name", "above"), FAMILY.items())
def test_members_of_the_family_differ_in_the_interface_alone(name, above):
    """E_f(L1) = E_f + Δ and E_f(L2) = E_f + 7/22 Δ, as Li2S has −0.22 and −0.07 eV."""
    member, base = load_parameters(name), load_parameters("li_li2s")
    bulk, step = base.value("formation_energy_bulk_eV"), member["formation_energy_L1_to_L2_eV"]
    assert member.value("formation_energy_L1_eV") == pytest.approx(bulk + above, abs=1e-12)
    assert step.value == pytest.approx(-15 / 22 * above, abs=5e-4)
    own = {"formation_energy_L1_eV", "formation_energy_L1_to_L2_eV"}
    assert all(member[key].assumed and "Chosen" in member[key].note for key in own)
    others = set(member.quantities) - own
    assert {key: member[key] for key in others} == {key: base[key] for key in others}
    assert member.description.startswith("Family, not material data")
    assert not any(quantities.QUANTITIES[key].role == "target" for key in member.quantities)


def test_the_lithiophobic_end_has_the_energies_of_li2s():
    end, base = load_parameters("li_phobic_022"), load_parameters("li_li2s")
    assert {key: q.value for key, q in end.quantities.items()} == {
        key: base.value(key) for key in end.quantities
    }


def test_a_set_made_in_python_is_checked_the_same():
    with pytest.raises(InputError, match="disagrees with the key"):
        ParameterSet(
            name="test",
            description="",
            species=("Li",),
            quantities={"barrier_Li_eV": Quantity(value=1, unit="J", note="x", assumed=True)},
        )


def test_every_quantity_kmc_knows_is_used_by_a_shipped_set():
    used = {key for name in catalogue.names("params") for key in load_parameters(name).quantities}
    assert used == set(quantities.QUANTITIES)


@pytest.mark.parametrize("name", catalogue.names("params"))
def test_what_a_note_calls_from_memory_is_marked(name):
    for key, quantity in load_parameters(name).quantities.items():
        by_heart = "from memory" in quantity.note.replace("\n", " ").lower()
        assert not by_heart or (quantity.from_memory and quantity.assumed), key
