"""Finding and reading the TOML files that come with kmc, and the user's own."""

from __future__ import annotations

import pytest

from kmc.common import catalogue
from kmc.errors import InputError


def test_names_of_what_is_shipped():
    assert catalogue.names("lattices") == ["bcc_100", "bcc_110", "bcc_111"]
    family = ["li_neutral", "li_philic_008", "li_philic_015", "li_phobic_011", "li_phobic_022"]
    substrates = ["li_carbon", "li_lizn", "li_zno_002", "li_zno_020", "li_zno_202"]
    substrates += ["li_graphene", "li_lizn_112", "li_lizn_220"]
    substrates += ["li_zno_002_computed", "li_zno_020_computed"]
    cathode = ["fes", "li2se", "licoo2", "mo6se8", "se"]
    sets = [
        "lattice_gas",
        "li_dilatometry",
        "li_li2o",
        "li_li2s",
        "li_li2s_clusters",
        "li_licl",
        "li_lif",
        "li_measured",
        "na_nasicon",
        *family,
        "li_self_diffusion",
        "limg_li2s",
        "limg_measured",
    ]
    assert catalogue.names("params") == sorted([*sets, *substrates, *cathode])
    assert {"strip_li", "strip_limg"} <= set(catalogue.names("runs"))
    assert "study_temperature" in catalogue.names("studies")
    assert not set(catalogue.names("studies")) & set(catalogue.names("runs"))


@pytest.mark.parametrize("kind", [*catalogue.KINDS, "studies"])
def test_every_shipped_file_is_readable_and_found_by_its_name(kind):
    for name in catalogue.names(kind):
        path = catalogue.locate(kind, name)
        assert path.stem == name
        assert catalogue.read_toml(path)


@pytest.mark.parametrize("kind", ["lattices", "params"])
def test_a_shipped_file_carries_its_own_name(kind):
    for name in catalogue.names(kind):
        assert catalogue.read_toml(catalogue.locate(kind, name))["name"] == name


def test_unknown_name_gives_the_nearest_and_the_command_that_lists_all():
    with pytest.raises(InputError) as caught:
        catalogue.locate("params", "li_lis2")
    assert "'li_lis2' is not among the shipped params" in caught.value.message
    assert "Did you mean 'li_li2s'?" in caught.value.advice
    assert "kmc params list" in caught.value.advice
    assert "li_carbon" not in caught.value.advice  # forty names only on request
    assert caught.value.exit_code == 2


def test_a_name_unlike_any_other_gets_no_guess():
    with pytest.raises(InputError) as caught:
        catalogue.locate("runs", "zzzzzz")
    assert "Did you mean" not in caught.value.advice


def test_own_file_by_path(tmp_path, monkeypatch):
    own = tmp_path / "strip_li.toml"
    own.write_text("[stop]\nevents = 1\n")
    assert catalogue.locate("runs", own) == own
    monkeypatch.chdir(tmp_path)
    assert catalogue.locate("runs", "strip_li.toml").read_text() == own.read_text()
    assert catalogue.locate("runs", "./strip_li.toml").samefile(own)


def test_a_bare_name_is_the_shipped_file_even_beside_an_own_one(tmp_path, monkeypatch):
    (tmp_path / "strip_li.toml").write_text("[stop]\nevents = 1\n")
    monkeypatch.chdir(tmp_path)
    assert catalogue.locate("runs", "strip_li").parent != tmp_path


def test_missing_path_is_not_mistaken_for_a_name(tmp_path):
    with pytest.raises(InputError, match="no such file") as caught:
        catalogue.locate("runs", tmp_path / "strip_li.toml")
    assert "shipped name" in caught.value.advice


def test_syntax_error_names_file_and_line(tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text("[system]\nsize = [32, 32,\n[stop]\nevents = = 1\n")
    with pytest.raises(InputError) as caught:
        catalogue.read_toml(path)
    assert str(path) in caught.value.message
    assert "line" in caught.value.message


def test_a_key_given_twice_is_a_syntax_error(tmp_path):
    path = tmp_path / "twice.toml"
    path.write_text("[random]\nseed = 1\nseed = 2\n")
    with pytest.raises(InputError, match="line 3"):
        catalogue.read_toml(path)


def test_a_file_that_is_not_text(tmp_path):
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\x89HDF\r\n\x1a\n\xff\xfe")
    with pytest.raises(InputError, match="cannot be read") as caught:
        catalogue.read_toml(path)
    assert "UTF-8" in caught.value.advice


def test_a_folder_is_not_a_file(tmp_path):
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(InputError, match="is a folder"):
        catalogue.locate("runs", folder)


@pytest.mark.parametrize("kind", ["runs", "studies"])
def test_first_lines_are_sentences(kind):
    """They are what `kmc runs list` shows."""
    for name in catalogue.names(kind):
        first = catalogue.read_text(catalogue.locate(kind, name)).splitlines()[0]
        assert first.startswith("# ")
        assert first.endswith("."), name


@pytest.mark.parametrize(
    ("name", "said"),
    [("run.h5", "run.h5 does not end in .toml"), ("results", "results is a folder"),
     ("./results", "./results is a folder")],
)  # fmt: skip
def test_what_is_there_but_no_toml_file_is_not_called_missing(tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.h5").write_bytes(b"")
    (tmp_path / "results").mkdir()
    with pytest.raises(InputError) as caught:
        catalogue.locate("runs", name)
    assert caught.value.message == said
    assert ("kmc info run.h5" in caught.value.advice) == (name == "run.h5")


@pytest.mark.parametrize(
    ("kind", "name", "what", "advice"),
    [
        ("studies", "strip_li", "strip_li is a run, not a sweep file", "kmc run strip_li"),
        ("params", "strip_li", "strip_li is a run, not a parameter set", "kmc run strip_li"),
        ("runs", "li_li2s", "li_li2s is a parameter set, not a run", "kmc params show li_li2s"),
        ("runs", "bcc_110", "bcc_110 is a lattice, not a run", "system.lattice=bcc_110"),
    ],
)
def test_a_name_of_another_kind_is_recognised(kind, name, what, advice):
    with pytest.raises(InputError) as caught:
        catalogue.locate(kind, name)
    assert caught.value.message == what
    assert advice in caught.value.advice


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("temperature_K = 333,15", "A decimal point instead of the comma: temperature_K = 333.15"),
        ("lattice = bcc_110", 'Text stands in quotes: lattice = "bcc_110"'),
        ("temperature_K = 333 K  # warm", "A number without its unit, which the key names: "
         "temperature_K = 333"),
    ],
)  # fmt: skip
def test_what_is_no_toml_and_what_was_meant(line, advice):
    with pytest.raises(InputError) as caught:
        catalogue.parse_toml(f"[any]\n{line}\n", "mine.toml")
    assert caught.value.advice == advice


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "own.toml").write_bytes(b"\xef\xbb\xbf[stop]\nevents = 1\n")
    assert catalogue.read_toml(tmp_path / "own.toml") == {"stop": {"events": 1}}


@pytest.mark.parametrize(("part", "times"), [("a.", 100_000), ("a . ", 20), ('"x y".', 20)])
@pytest.mark.parametrize("form", ["{}a = 1", "[{}a]"])
def test_a_dotted_key_of_many_parts_is_refused_before_it_is_parsed(part, times, form):
    """The parser's memory grows by the square of their number: 200 kB took gigabytes."""
    with pytest.raises(InputError, match="more than 20 deep"):
        catalogue.parse_toml(form.format(part * times), "own.toml")


def test_dots_in_values_and_comments_are_no_key():
    text = "# " + "a." * 15 + "\nx = 1.5\n[a.b.c]\ny = [1.0, 2.0]"
    expected = {"x": 1.5, "a": {"b": {"c": {"y": [1.0, 2.0]}}}}
    assert catalogue.parse_toml(text, "own.toml") == expected
