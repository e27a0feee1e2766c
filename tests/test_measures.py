from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from venlab.baselines import Baseline, given, twin
from venlab.errors import DataError
from venlab.measures import error, measure, settlement

EVENT = ("2023-11-30 17:00", "2023-11-30 19:00")
INDEX = pd.date_range("2023-11-30T14:00Z", periods=32, freq="15min")  # 15 to 23 h local


def meter(event: list[float], after: list[float], level: float = 100.0) -> pd.Series[float]:
    """A meter of 100 kW with eight quarters of event, and what follows."""
    kw = np.full(len(INDEX), level)
    kw[8:16] = event
    kw[16 : 16 + len(after)] = after
    return pd.Series(kw, INDEX)


def truth(power: pd.Series[float] | pd.DataFrame, level: float = 100.0) -> Baseline:
    return twin(power, *EVENT, power * 0 + level)


SHED = meter([90, 80, 70, 60, 60, 60, 60, 60], [120, 110, 105, 101, 100.5])


def test_shed_by_hand() -> None:
    """100 kW falls to 90, 80, 70, 60 …: shed 10, 20, 30 and 5 × 40 kW, in the mean 32.5; 65 kWh."""
    row = measure(SHED, truth(SHED), asked_kw=40).iloc[0]
    assert row["shed_kw"] == 32.5
    assert row["shed_kwh"] == 65.0
    assert row["delivered_frac"] == 32.5 / 40
    assert row["missing_frac"] == 0


def test_latency_by_hand() -> None:
    """40 kW are first there in the fourth quarter: 60 min; 30 of them in the third: 45."""
    base = truth(SHED)
    assert measure(SHED, base, asked_kw=40)["latency_min"].tolist() == [60]
    assert measure(SHED, base, asked_kw=40, reached=0.75)["latency_min"].tolist() == [45]
    assert measure(SHED, base, asked_kw=50)["latency_min"].isna().all()
    assert measure(SHED, base)["latency_min"].isna().all()


def test_rebound_against_the_twin_by_hand() -> None:
    """2 % of 32.5 kW is 0.65: quiet after 20, 10, 5, 1 kW; so 36 kW · ¼ h = 9 kWh over one hour."""
    row = measure(SHED, truth(SHED)).iloc[0]
    assert row["rebound_kwh"] == 9.0
    assert row["rebound_h"] == 1.0
    assert row["rebound_ended"]


def test_a_short_lull_does_not_end_a_rebound() -> None:
    """Three quiet quarters are no hour: 20 · ¼ + 20 · ¼ kWh over five quarters."""
    power = meter([60] * 8, [120, 100, 100, 100, 120])
    row = measure(power, truth(power)).iloc[0]
    assert (row["rebound_kwh"], row["rebound_h"]) == (10.0, 1.25)


def test_a_shed_that_goes_on_is_not_quiet() -> None:
    """Half an hour more at 60 kW after the event, then back to 100: −40 kW · ½ h."""
    power = meter([60] * 8, [60, 60])
    row = measure(power, truth(power)).iloc[0]
    assert (row["rebound_kwh"], row["rebound_h"]) == (-20.0, 0.5)


def test_a_rebound_that_the_data_do_not_end() -> None:
    """Power that stays above the twin has not come back: what there is counts, and is marked."""
    power = meter([60] * 8, [120] * 16)
    row = measure(power, truth(power)).iloc[0]
    assert (row["rebound_kwh"], row["rebound_h"]) == (80.0, 4.0)
    assert not row["rebound_ended"]


def test_rebound_against_another_baseline_is_four_hours() -> None:
    """Any other baseline is off by itself, so no quiet is waited for: 36.5 · ¼ kWh in 4 h."""
    base = given(SHED, *EVENT, SHED * 0 + 100)
    row = measure(SHED, base).iloc[0]
    assert (row["rebound_kwh"], row["rebound_h"], row["rebound_ended"]) == (9.125, 4.0, True)
    row = measure(SHED, base, rebound_h=0.5).iloc[0]
    assert (row["rebound_kwh"], row["rebound_h"]) == (7.5, 0.5)
    row = measure(SHED, base, rebound_h=6).iloc[0]
    assert (row["rebound_h"], row["rebound_ended"]) == (4.0, False)


def test_who_does_not_take_part_has_no_rebound() -> None:
    """A meter that is its twin to the bit: no shed, and an end of the rebound at once."""
    power = meter([100] * 8, [])
    row = measure(power, truth(power), asked_kw=10).iloc[0]
    assert (row["shed_kw"], row["rebound_kwh"], row["rebound_h"]) == (0, 0, 0)
    assert row["rebound_ended"]
    assert np.isnan(row["latency_min"])


def test_missing_is_not_zero() -> None:
    """A missing quarter of a level shed changes neither kW nor kWh; zero would read as 100 kW."""
    power = meter([60] * 8, [120] * 4)
    power.iloc[[10, 17]] = np.nan
    row = measure(power, truth(power.fillna(0))).iloc[0]
    assert (row["shed_kw"], row["shed_kwh"], row["missing_frac"]) == (40, 80, 0.125)
    assert row["rebound_kwh"] == 20


def test_groups_by_hand() -> None:
    """Two meters of one VEN: their sheds 40 + 20 kW are one of 60, and what was asked is added."""
    power = pd.DataFrame(
        {
            "a": meter([60] * 8, []),
            "b": meter([100, 80, 80, 80, 80, 80, 80, 100], []),
            "c": meter([100] * 8, []),
        }
    )
    ven = pd.Series({"a": "Aars", "b": "Aars", "c": "Skive"}, name="ven")
    table = measure(power, truth(power), asked_kw={"a": 40, "b": 20, "c": 5}, by=ven)
    assert list(table.index) == ["Aars", "Skive"]
    assert table["shed_kw"].tolist() == [55, 0]
    assert table["asked_kw"].tolist() == [60, 5]
    assert table["latency_min"].iloc[0] == 30
    by_row = measure(power, truth(power), asked_kw=pd.Series({"Skive": 5, "Aars": 60}), by=ven)
    pd.testing.assert_frame_equal(by_row, table)
    one_number = measure(power, truth(power), asked_kw=7, by=ven)
    assert one_number["asked_kw"].tolist() == [7, 7]


def test_a_group_misses_what_a_meter_misses() -> None:
    """Where one meter is missing the group's interval is; the others tell its mean."""
    power = pd.DataFrame({"a": meter([60] * 8, []), "b": meter([80] * 8, [])})
    base = truth(power)
    power.iloc[8:12, 0] = np.nan
    row = measure(power, base, by={"a": "Aars", "b": "Aars"}).iloc[0]
    assert (row["shed_kw"], row["missing_frac"]) == (60, 0.5)


def test_error_by_hand() -> None:
    """Off by +30 and −10 kW of 100: bias 10, absolute 20, √((900 + 100) / 2) / 100 = 0.2236."""
    base = SHED * 0 + 100
    base.iloc[8:12] += 30
    base.iloc[12:16] -= 10
    row = error(given(SHED, *EVENT, base), truth(SHED)).iloc[0]
    assert (row["bias_kw"], row["mae_kw"], row["bias_frac"]) == (10, 20, 0.1)
    assert row["rrmse"] == pytest.approx(0.22360679775)
    assert row["intervals"] == 8


def test_error_over_events_is_of_all_their_intervals() -> None:
    """Two events off by +20 and −20 kW: no bias, and an error of 20 all the same."""
    power = SHED * 0 + 100
    later = ("2023-11-30 20:00", "2023-11-30 22:00")
    found = [given(power, *EVENT, power + 20), given(power, *later, power - 20)]
    row = error(found, [twin(power, *EVENT, power), twin(power, *later, power)]).iloc[0]
    assert (row["bias_kw"], row["mae_kw"], row["rrmse"], row["intervals"]) == (0, 20, 0.2, 16)
    with pytest.raises(DataError, match="2 baselines and 1 twins are not of the same events"):
        error(found, [truth(power)])


def test_error_is_of_the_intervals_that_both_have() -> None:
    """110 for 100 kW, and nothing for 300: a tenth off, not a twentieth."""
    true_kw, base = SHED * 0 + 100, SHED * 0 + 110
    true_kw.iloc[12:16], base.iloc[12:16] = 300, np.nan
    row = error(given(SHED, *EVENT, base), twin(SHED, *EVENT, true_kw)).iloc[0]
    assert (row["rrmse"], row["bias_frac"], row["intervals"]) == (0.1, 0.1, 4)


def test_settlement_by_hand() -> None:
    """120 kW baseline, 90 metered for two hours at 2.50 DKK/kWh: 60 kWh delivered, 150 DKK."""
    power = pd.DataFrame({"a": meter([60] * 8, []), "b": meter([30] * 8, [], 20)})
    base = given(power, *EVENT, pd.DataFrame({"a": 100.0, "b": 20.0}, INDEX))
    table = settlement(power, base, 2.5, asked_kw=50, by={"a": "Aars", "b": "Aars"})
    assert table.T["Aars"].to_dict() == {
        "baseline_kwh": 240.0,
        "metered_kwh": 180.0,
        "delivered_kwh": 60.0,
        "asked_kwh": 100.0,
        "delivered_frac": 0.6,
        "missing_frac": 0.0,
        "price_dkk_per_kwh": 2.5,
        "paid_dkk": 150.0,
    }
    each = settlement(power, base, {"a": 2.0, "b": 3.0})
    assert each["paid_dkk"].tolist() == [160.0, -60.0]  # who used more pays


def test_bad_input_is_said() -> None:
    """Each error names what is wrong."""
    base = truth(SHED)
    with pytest.raises(DataError, match="do not both cover"):
        measure(SHED[:"2023-11-30T17:00Z"], base)
    with pytest.raises(DataError, match="do not both cover"):
        measure(SHED.resample("30min").mean(), base)
    power = pd.DataFrame({"a": SHED, "b": SHED})
    with pytest.raises(DataError, match="the baseline has no meter b"):
        measure(power, truth(power[["a"]]))
    with pytest.raises(DataError, match="meter b is in no group"):
        measure(power, truth(power), by={"a": "Aars"})
    with pytest.raises(DataError, match="asked_kw names no b"):
        measure(power, truth(power), asked_kw={"a": 1})
