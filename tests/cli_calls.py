"""Commands called in this process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from kmc.cli.app import main


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def output_of(*arguments: object, code: int = 0) -> str:
    """What a command prints that ends with this code and without a traceback."""
    done = call(*arguments)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done.output.replace("\u00a0", " ")


def refused(*arguments: object) -> str:
    """Standard error of a call that must fail as wrong input."""
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert done.stdout == ""
    return done.stderr
