"""What holds of every rule, whatever the meters show."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.baselines.meters import BUSINESS, EVENT, TODAY, hours, local
from venlab.baselines import RULES, Adjustment, Baseline, control_group, ten_of_ten
from venlab.measures import measure

INDEX = hours("2023-11-06")
SEEDS = st.integers(0, 2**32 - 1)
NAMES = st.sampled_from([*RULES])
ADJUSTS = st.sampled_from([None, Adjustment(), Adjustment("multiplicative")])

few = settings(max_examples=40, deadline=None)  # each makes tables of a month


def fleet(seed: int, holes: float = 0.0, n: int = 4) -> pd.DataFrame:
    """Meters of all sizes, some of them with holes on past days."""
    rng = np.random.default_rng(seed)
    kw = rng.gamma(2, 5, (len(INDEX), n)) * rng.uniform(0.1, 100, n)
    past = np.asarray(local(INDEX).date < TODAY)
    kw[past[:, None] & (rng.random(kw.shape) < holes)] = np.nan
    return pd.DataFrame(kw, INDEX, [f"m{i}" for i in range(n)])


def made(name: str, power: pd.DataFrame, adjust: Adjustment | None) -> Baseline:
    return RULES[name](power, *EVENT, adjust=adjust)


@few
@given(NAMES, ADJUSTS, st.floats(0.001, 1e6), SEEDS)
def test_a_constant_meter_is_its_own_baseline(
    name: str, adjust: Adjustment | None, kw: float, seed: int
) -> None:
    """Every rule gives the constant, with holes or without."""
    power = fleet(seed, holes=0.02) * 0 + kw
    found = made(name, power, adjust)
    np.testing.assert_allclose(found.event_kw, kw, rtol=1e-12)
    np.testing.assert_allclose(found.power_kw.fillna(kw), kw, rtol=1e-12)


@few
@given(NAMES, ADJUSTS, SEEDS, st.floats(0, 0.1))
def test_the_order_of_meters_says_nothing(
    name: str, adjust: Adjustment | None, seed: int, holes: float
) -> None:
    """Meters in another order have the same baselines, notes and days."""
    power = fleet(seed, holes)
    order = ["m2", "m0", "m3", "m1"]
    here, there = made(name, power, adjust), made(name, power[order], adjust)
    pd.testing.assert_frame_equal(here.power_kw[order], there.power_kw)
    pd.testing.assert_frame_equal(here.days[order], there.days)
    pd.testing.assert_series_equal(here.note[order], there.note)


@few
@given(NAMES, ADJUSTS, SEEDS, st.integers(-10, 10))
def test_a_baseline_scales_with_its_meter(
    name: str, adjust: Adjustment | None, seed: int, power_of_two: int
) -> None:
    """A meter that shows k times as much has k times the baseline and the same days."""
    power, k = fleet(seed), 2.0**power_of_two
    here, there = made(name, power, adjust), made(name, power * k, adjust)
    np.testing.assert_allclose(there.power_kw, here.power_kw * k, rtol=1e-12)
    pd.testing.assert_frame_equal(here.days, there.days)


@few
@given(NAMES, SEEDS, st.sampled_from(BUSINESS[:15]))
def test_a_missing_day_is_as_if_it_had_not_been(name: str, seed: int, day: date) -> None:
    """Missing whole, a day has no weight and pulls nothing down: called, it would be the same."""
    power = fleet(seed)
    gone = power.copy()
    gone.loc[local(INDEX).date == day] = np.nan
    here, there = RULES[name](gone, *EVENT), RULES[name](power, *EVENT, called=[day])
    pd.testing.assert_frame_equal(here.power_kw, there.power_kw)
    assert day not in here.days.index
    assert (here.unadjusted_kw.to_numpy() > 0).all()


@few
@given(NAMES, SEEDS, st.floats(0, 0.3))
def test_without_adjustment_a_baseline_lies_within_what_was(
    name: str, seed: int, holes: float
) -> None:
    """A mean never leaves the range of what it is a mean of, holes or not; weights sum to 1."""
    power = fleet(seed, holes)
    found = made(name, power, None)
    inside = found.event_kw.dropna(axis=1)
    assert (inside >= power[inside.columns].min() - 1e-9).all().all()
    assert (inside <= power[inside.columns].max() + 1e-9).all().all()
    if len(found.days):
        np.testing.assert_allclose(found.days[inside.columns].sum(), 1)


@few
@given(SEEDS, st.sampled_from(["additive", "multiplicative"]), st.floats(0, 1), st.floats(0, 1))
def test_an_adjustment_stays_within_its_limits(
    seed: int, kind: str, low: float, high: float
) -> None:
    """By no more than the limits' share of the unadjusted mean in the event."""
    adjust = Adjustment(kind, limits=(-low, high))  # type: ignore[arg-type] # drawn text
    found = ten_of_ten(fleet(seed), *EVENT, adjust=adjust)
    level = found.unadjusted_kw.loc[found.event_kw.index].mean()
    assert (found.adjustment_kw <= high * level + 1e-9).all()
    assert (found.adjustment_kw >= -low * level - 1e-9).all()
    moved = found.event_kw.mean() - level
    np.testing.assert_allclose(moved, found.adjustment_kw, atol=1e-9)


@few
@given(SEEDS)
def test_a_control_group_that_is_the_meter_itself_is_no_shed(seed: int) -> None:
    """The difference in differences to oneself is zero."""
    power = fleet(seed, n=1)
    found = control_group(power, *EVENT, power)
    np.testing.assert_allclose(measure(power, found)["shed_kw"], 0, atol=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_a_group_sheds_what_its_meters_shed(name: str) -> None:
    """Energies of meters add up to that of their group."""
    power = fleet(1)
    found = RULES[name](power, *EVENT)
    each = measure(power, found)[["shed_kw", "shed_kwh", "rebound_kwh"]]
    whole = measure(power, found, by=dict.fromkeys(power.columns, "all"))
    np.testing.assert_allclose(whole[each.columns].iloc[0], each.sum())


@few
@given(SEEDS, st.sampled_from([(10, 10), (5, 10), (4, 5), (3, 5)]), st.sets(st.integers(0, 12)))
def test_x_of_y_is_what_a_plain_loop_gives(
    seed: int, rule: tuple[int, int], called: set[int]
) -> None:
    """The table's arithmetic against a loop over days that a person would write."""
    x, y = rule
    power = fleet(seed, n=2)
    days = [BUSINESS[n] for n in called]
    found = RULES[f"{x}-of-{y}"](power, *EVENT, adjust=None, called=days)
    for meter in power.columns:
        when = local(power.index)
        by_day = {
            day: power[meter][(when.date == day) & (when.hour >= 17) & (when.hour < 19)]
            for day in BUSINESS
            if day >= date(2023, 11, 6) and day not in days
        }
        last = list(by_day)[:y]
        best = sorted(last, key=lambda day: -by_day[day].sum())[:x]
        if len(last) < (5 if x == 10 else x):
            continue  # called days are taken then
        expected = np.mean([by_day[day].to_numpy() for day in best], axis=0)
        np.testing.assert_allclose(found.event_kw[meter], expected)
