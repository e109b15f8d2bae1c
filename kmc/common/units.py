"""Physical constants, conversions, and the unit at the end of a key's name.

Constants are the exact values of the SI of 2019; `scipy.constants` holds the same numbers but takes
longer to import than the whole command line.
"""

import unicodedata

E_C = 1.602176634e-19  # elementary charge, C
K_B_J = 1.380649e-23  # Boltzmann constant, J/K
N_A = 6.02214076e23  # Avogadro constant, 1/mol
K_B_eV = K_B_J / E_C  # Boltzmann constant, eV/K

MICRO_eV = 1_000_000  # µeV per eV; the kernels count energies in whole µeV
mAh_C = 3.6  # coulomb per mAh
A_per_nm = 10.0
A_per_um = 1e4
nm2_per_um2 = 1e6

# The unit at the end of a key's name, longest first: `_mA_cm2` must not be read as `_A`.
_SUFFIXES = {
    "_mAh_cm2": "mAh/cm2",
    "_mA_cm2": "mA/cm2",
    "_cm3_mol": "cm3/mol",
    "_cm2_s": "cm2/s",
    "_per_um2": "1/µm2",
    "_ohm_cm2": "Ω cm2",
    "_kJ_mol": "kJ/mol",
    "_per_nm": "1/nm",
    "_per_MPa_s": "1/(MPa s)",
    "_MPa_per_um": "MPa/µm",
    "_per_s": "1/s",
    "_mS_cm": "mS/cm",
    "_per_100um": "1/100 µm",
    "_um3": "µm3",
    "_um2": "µm2",
    "_J_m2": "J/m2",
    "_deg": "deg",
    "_MPa": "MPa",
    "_GPa": "GPa",
    "_per_h": "1/h",
    "_eV": "eV",
    "_Hz": "Hz",
    "_um": "µm",
    "_nm": "nm",
    "_A": "Å",
    "_K": "K",
    "_V": "V",
    "_s": "s",
    "_k": "k",
}
DIMENSIONLESS = "1"


def split_unit(key: str) -> tuple[str, str]:
    """Stem and unit of a key; ``"1"`` where its name ends in no unit.

    >>> split_unit("exchange_current_density_mA_cm2"), split_unit("second_shell_ratio")
    (('exchange_current_density', 'mA/cm2'), ('second_shell_ratio', '1'))
    """
    for suffix, unit in _SUFFIXES.items():
        if key.endswith(suffix) and key != suffix:
            return key.removesuffix(suffix), unit
    return key, DIMENSIONLESS


def unit_of(key: str) -> str:
    """Unit in the name of a key, ``"1"`` where it names none."""
    return split_unit(key)[1]


def same_unit(first: str, second: str) -> bool:
    """Whether two spellings mean the same unit: ``cm²/s`` and ``cm2/s``, either micro sign."""
    # Micro stands in Unicode twice, as a sign and as the Greek letter.
    return unicodedata.normalize("NFKC", first) == unicodedata.normalize("NFKC", second)
