"""The thermal part: closed forms of the first-order model, the comfort band, and the way back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.thermal import Drift

NO_RATING = 1e9
MINUTE = 1 / 60
# τ [h], Θ [K] of the house and the restaurant that the known answers are about
HOUSE, RESTAURANT = (68.0, 13.9), (8.0, 13.3)


def one(of: tuple[float, float], *, band_k: float = 100.0, recovery_h: float = 2.0) -> Drift:
    """One load whose power without an event is the season's mean, 1 kW."""
    tau_h, theta_k = of
    return Drift(*(np.array([v]) for v in (tau_h, theta_k, 1.0, band_k, recovery_h)))


def step(
    drift: Drift,
    usual_kw: np.ndarray,
    off_kw: np.ndarray,
    most_kw: np.ndarray,
    step_h: float,
) -> np.ndarray:
    """Let each load take what it wants for a step, and return that."""
    back, room_kw = np.flatnonzero(off_kw == 0), np.maximum(most_kw - usual_kw, 0.0)
    power_kw = drift.wants(usual_kw, off_kw, room_kw, back, step_h)
    drift.take(usual_kw - power_kw, back, step_h)
    return power_kw


def played(
    drift: Drift,
    off_kw: float,
    hours: float,
    *,
    step_h: float = MINUTE,
    most_kw: float = NO_RATING,
) -> np.ndarray:
    """Return the power of each step while so much is to be off."""
    steps = round(hours / step_h)
    one = np.ones(1), np.full(1, off_kw), np.full(1, most_kw)
    return np.array([step(drift, *one, step_h)[0] for _ in range(steps)])


@pytest.mark.parametrize(("of", "share", "kelvin"), [(HOUSE, 1.0, 0.40), (RESTAURANT, 0.6, 1.77)])
@pytest.mark.parametrize("step_h", [MINUTE, 0.25, 2.0])
def test_drift_after_two_hours(
    of: tuple[float, float], share: float, kelvin: float, step_h: float
) -> None:
    """x(T) = s Θ (1 − e^(−T/τ)), at whatever step: 0.40 K in a house, 1.77 K in a restaurant."""
    drift = one(of)
    played(drift, share, 2.0, step_h=step_h)
    assert drift.deviation_k[0] == pytest.approx(share * of[1] * (1 - math.exp(-2 / of[0])))
    assert drift.deviation_k[0] == pytest.approx(kelvin, abs=0.005)


@pytest.mark.parametrize(("of", "share", "hours"), [(RESTAURANT, 0.9, 1.46), (HOUSE, 1.0, 10.6)])
def test_time_to_the_band(of: tuple[float, float], share: float, hours: float) -> None:
    """2 K are reached after −τ ln(1 − b ÷ (s Θ)); there the load takes what holds it."""
    drift = one(of, band_k=2.0)
    power_kw = played(drift, share, 12.0)
    held = np.flatnonzero(power_kw > 1 - share + 1e-9)[0] * MINUTE
    assert held == pytest.approx(-of[0] * math.log(1 - 2 / (share * of[1])), abs=MINUTE)
    assert held == pytest.approx(hours, abs=0.06)
    assert drift.deviation_k[0] == pytest.approx(2.0)
    assert power_kw[-1] == pytest.approx(1 - 2 / of[1])  # b = Θ (P₀ − P) ÷ P_ref


@pytest.mark.parametrize(("tau_h", "share"), [(68.0, 0.97), (8.0, 0.77), (6.0, 0.71)])
def test_what_is_given_back(tau_h: float, share: float) -> None:
    """Two hours off, two hours back: 1 − [T − τ (1 − e^(−T/τ)) + (1 − e^(−T/τ)) R ÷ 2] ÷ T."""
    drift, gone = one((tau_h, 13.0)), 1 - math.exp(-2 / tau_h)
    not_used = (1 - played(drift, 0.6, 2.0)).sum() * MINUTE
    given_back = (played(drift, 0.0, 3.0) - 1).sum() * MINUTE
    assert not_used == pytest.approx(1.2)
    assert given_back / not_used == pytest.approx(1 - (2 - tau_h * gone + gone) / 2, abs=0.002)
    assert given_back / not_used == pytest.approx(share, abs=0.005)
    assert drift.deviation_k[0] == 0.0


@pytest.mark.parametrize("of", [HOUSE, RESTAURANT])
def test_power_when_the_way_back_begins(of: tuple[float, float]) -> None:
    """s P_ref (1 − e^(−T/τ)) (τ ÷ R − 1): of a heavy house nearly as high as what was off."""
    drift = one(of)
    played(drift, 1.0, 2.0)
    rebound_kw = played(drift, 0.0, MINUTE)[0] - 1
    assert rebound_kw == pytest.approx((1 - math.exp(-2 / of[0])) * (of[0] / 2 - 1), rel=0.01)


def test_the_way_back_is_straight() -> None:
    """A quarter of it left after three quarters of the time, and at its end the power is P₀."""
    drift = one(RESTAURANT)
    played(drift, 0.6, 2.0)
    begin_k = drift.deviation_k[0]
    for left in (0.75, 0.5, 0.25, 0.0):
        played(drift, 0.0, 0.5, step_h=0.25)
        assert drift.deviation_k[0] == pytest.approx(left * begin_k)
    assert played(drift, 0.0, 1.0).tolist() == [1.0] * 60


def test_the_rating_makes_it_longer() -> None:
    """Where 20 % more is the most, the way back takes until all is back, and no step has more."""
    drift = one(HOUSE)
    played(drift, 1.0, 2.0)
    power_kw = played(drift, 0.0, 12.0, most_kw=1.2)
    assert power_kw.max() == pytest.approx(1.2)
    back_h = (power_kw > 1).sum() * MINUTE
    assert back_h > 2
    assert drift.deviation_k[0] == 0.0


def test_a_heat_balance() -> None:
    """Not used − given back = (P_ref ÷ Θ) ∫ x dt, here of steps of a minute."""
    drift, kelvin_h = one(RESTAURANT), 0.0
    power_kw = []
    for n in range(300):
        power_kw.append(played(drift, 0.6 if n < 120 else 0.0, MINUTE)[0])
        kelvin_h += drift.deviation_k[0] * MINUTE
    balance = (1 - np.array(power_kw)).sum() * MINUTE
    assert balance == pytest.approx(kelvin_h / RESTAURANT[1], rel=0.01)


numbers = st.floats(0, 50)


@given(
    st.lists(st.tuples(numbers, st.floats(0, 1)), min_size=1, max_size=40),
    st.floats(0.5, 100),
    st.floats(0.5, 300),
    st.floats(0, 10),
    st.sampled_from([MINUTE, 0.25, 1.0]),
)
def test_whatever_is_asked_for(
    steps: list[tuple[float, float]], tau_h: float, theta_k: float, band_k: float, step_h: float
) -> None:
    """Power is never below 0 nor above rating or profile, the band holds but for a profile that
    ends, and without an event nothing differs to the bit."""
    drift = Drift(*(np.array([v]) for v in (tau_h, theta_k, 3.0, band_k, 2.0)))
    for undisturbed, share in steps:
        given_kw = np.array([undisturbed])
        still = drift.deviation_k[0] == 0 and share * undisturbed == 0
        power_kw = step(drift, given_kw, share * given_kw, np.array([4.0]), step_h)
        assert 0 <= power_kw[0] <= max(4.0, undisturbed)
        assert drift.deviation_k[0] <= band_k + 1e-6
        assert not still or (power_kw == given_kw).all()
        assert np.isfinite(power_kw).all()


def test_each_load_for_itself() -> None:
    """Of three loads one is called: the others keep their power to the bit."""
    drift = Drift(*(np.full(3, v) for v in (8.0, 13.3, 1.0, 2.0, 2.0)))
    given_kw = np.array([1.1, 0.3, 0.7])
    off_kw = np.array([0.0, 0.3, 0.0])
    power_kw = step(drift, given_kw, off_kw, np.full(3, 2.0), 0.25)
    assert power_kw.tolist() == [1.1, 0.0, 0.7]
    assert drift.deviation_k[[0, 2]].tolist() == [0.0, 0.0]
