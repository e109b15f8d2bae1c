"""Sinks of vacancies: where the metal takes them up, as the distance of one perfect sink."""

import math


def sink_distance(
    thickness: float, sink_length: float = math.inf, sink_depth: float = math.inf
) -> float:
    """Distance of the perfect sink that takes up as much as all sinks of an electrode together.

    In the steady state and far from voids an interface with s = S − 1 loses

        j/e = K s/λ + K s κ coth(κL) = K s / Λ,      K = ρ D_v c_eq,

    to itself and to the metal (∇²s = κ²s, s = 0 at L). Λ stands wherever L did without sinks.

    - `thickness`: L, metal up to the perfect sink; infinite for none.
    - `sink_length`: λ of the interface, in the same unit; infinite for none.
    - `sink_depth`: 1/κ of the metal, likewise.

    Returns Λ = 1/(1/λ + κ coth κL); exactly L where λ and 1/κ are infinite.

    Examples
    --------
    >>> round(sink_distance(100.0, sink_depth=10.0), 3)
    10.0
    >>> sink_distance(100.0, sink_length=25.0)
    20.0
    """
    metal = thickness
    if math.isfinite(sink_depth):
        metal = sink_depth * math.tanh(thickness / sink_depth)
    if math.isinf(sink_length):
        return metal
    return 1.0 / (1.0 / sink_length + 1.0 / metal)
