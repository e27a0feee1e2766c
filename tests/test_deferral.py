"""The deferrable part: energy is kept, moves whole, and in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.deferral import Deferral


def step(
    deferral: Deferral,
    usual_kw: np.ndarray,
    off_kw: np.ndarray,
    most_kw: np.ndarray,
    step_h: float,
) -> np.ndarray:
    """Let each load take what it wants for a step, and return that."""
    power_kw = deferral.wants(usual_kw, off_kw, np.maximum(most_kw - usual_kw, 0.0), step_h)
    deferral.take(power_kw - usual_kw, step_h)
    return power_kw


def played(
    deferral: Deferral, off_kw: list[float], *, most_kw: float = 99.0, step_h: float = 0.5
) -> list[float]:
    """Return the power of each step of a load that takes 2 kW."""
    usual_kw, limit_kw = np.full(1, 2.0), np.full(1, most_kw)
    return [step(deferral, usual_kw, np.array([o]), limit_kw, step_h).item() for o in off_kw]


def test_it_moves_whole() -> None:
    """Two hours of 1 kW put off are two hours of 1 kW more, from the event's end on."""
    deferral = Deferral(np.array([6.0]))
    assert played(deferral, [1.0] * 4 + [0.0] * 6) == [1.0] * 4 + [3.0] * 4 + [2.0] * 2
    assert deferral.pending_kwh[0] == 0


def test_it_waits_no_longer_than_it_can() -> None:
    """An event of three hours and a longest wait of one: it runs from the second hour on."""
    deferral = Deferral(np.array([1.0]))
    assert played(deferral, [1.0] * 6) == [1.0, 1.0, 3.0, 3.0, 1.0, 1.0]
    assert deferral.pending_kwh[0] == 1.0


def test_the_rating_makes_it_longer() -> None:
    """1 kWh more at no more than half a kilowatt takes two hours."""
    deferral = Deferral(np.array([6.0]))
    assert played(deferral, [1.0] * 2 + [0.0] * 5, most_kw=2.5) == [1.0] * 2 + [2.5] * 4 + [2.0]


def test_what_a_run_ends_with_is_pending() -> None:
    """An event at the end of a run: what it put off is told, not lost."""
    deferral = Deferral(np.array([6.0]))
    played(deferral, [0.5, 0.5])
    assert deferral.pending_kwh.tolist() == [0.5]


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=60),
    st.floats(0.25, 8),
    st.sampled_from([0.25, 0.5, 1.0]),
)
def test_no_energy_is_lost(
    steps: list[tuple[float, float]], longest_h: float, step_h: float
) -> None:
    """Given = used + pending at every step, power stays within 0 and rating or profile, and what
    is not touched does not differ to the bit."""
    deferral = Deferral(np.array([longest_h, 3.0]))
    balance = 0.0
    for undisturbed, share in steps:
        given_kw = np.array([undisturbed, 1.7])
        off_kw = np.array([share * undisturbed, 0.0])
        power_kw = step(deferral, given_kw, off_kw, np.full(2, 6.0), step_h)
        balance += (undisturbed - power_kw[0]) * step_h
        assert deferral.pending_kwh[0] == pytest.approx(balance, abs=1e-6)
        assert -1e-9 <= power_kw[0] <= max(6.0, undisturbed) + 1e-9
        assert power_kw[1] == 1.7
