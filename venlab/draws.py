"""Random numbers that are looked up, not drawn in turn.

Each number is a hash of a key and a counter, so it does not depend on who else draws, nor on
when: SplitMix64 of G. L. Steele, D. Lea, C. H. Flood (2014), doi:10.1145/2660193.2660195.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

__all__ = ["Keys", "hashed", "index", "keys", "normal_factor", "normal_table"]

Keys = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_TABLE_BITS = 12


def keys(names: Iterable[str], streams: int) -> Keys:
    """Return a key for each name and stream, shape (names, streams)."""
    digests = b"".join(blake2b(n.encode(), digest_size=8).digest() for n in names)
    return hashed(np.frombuffer(digests, "<u8")[:, None], np.arange(streams))


def hashed(key: Keys, counter: int | NDArray[np.int64]) -> Keys:
    """Return random bits for keys at a counter, 0 or more; the upper 32 bits are good."""
    bits: Keys = key + np.atleast_1d(counter).astype(np.uint64) * _GOLDEN
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> shift
        bits *= factor
    return bits  # SplitMix64's last step changes low bits only


def index(bits: Keys, count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whole numbers from 0 to below `count`, all equally likely."""
    return np.asarray(((bits >> 32).astype(np.int64) * count) >> 32)


def normal_table(sigma: float) -> NDArray[np.float32]:
    """Return 1 + sigma times a normal variate at 4096 equal steps of probability, at least 0.

    Examples
    --------
    >>> table = normal_table(0.05)
    >>> round(float(table.mean()), 6), round(float(table.std()), 6)
    (1.0, 0.05)
    """
    size = 1 << _TABLE_BITS
    z = np.array([NormalDist().inv_cdf((i + 0.5) / size) for i in range(size)])
    return np.asarray(np.maximum(1 + sigma * z / z.std(), 0), np.float32)


def normal_factor(table: NDArray[np.float32], bits: Keys) -> NDArray[np.float32]:
    """Return the entries of `normal_table` that random bits point at."""
    return table[(bits >> (64 - _TABLE_BITS)).view(np.int64)]
