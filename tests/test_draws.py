from __future__ import annotations

import numpy as np

from venlab import draws


def test_a_number_depends_on_its_name_stream_and_counter_alone() -> None:
    """Alone or among others, in whatever order, a name has the same numbers."""
    both, one = draws.keys(["a", "b"], 3), draws.keys(["b"], 3)
    assert (both[1] == one[0]).all()
    at_once = draws.hashed(one[0, 0], np.arange(5))
    assert [draws.hashed(one[0], n)[0] for n in range(5)] == at_once.tolist()
    assert len(np.unique(draws.hashed(both.reshape(-1, 1), np.arange(1000)))) == 6000


def test_bits_are_those_of_splitmix64_but_for_its_last_step() -> None:
    """The reference generator seeded with 0 begins with E220A8397B1DCDAF."""
    bits = draws.hashed(np.zeros(1, np.uint64), 1)
    assert int((bits ^ (bits >> 31))[0]) == 0xE220A8397B1DCDAF


def test_each_whole_number_is_as_likely() -> None:
    """Of 7 numbers each comes in one of seven draws."""
    bits = draws.hashed(draws.keys(["a"], 1)[0], np.arange(70_000))
    times = np.bincount(draws.index(bits, np.array(7)))
    assert len(times) == 7
    assert np.abs(times - 10_000).max() < 500


def test_factors_are_normal_about_one() -> None:
    """Mean 1, the stated spread, two thirds within it, never below 0."""
    bits = draws.hashed(draws.keys(["a"], 1)[0], np.arange(100_000))
    factors = draws.normal_factor(draws.normal_table(0.1), bits)
    assert abs(factors.mean() - 1) < 0.002
    assert abs(factors.std() - 0.1) < 0.002
    assert abs((np.abs(factors - 1) < 0.1).mean() - 0.6827) < 0.01
    assert draws.normal_table(3).min() == 0
