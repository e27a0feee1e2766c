"""What a meter would have shown without the event: the baselines that markets settle by.

Plain pandas in and out, for anyone's meters. Power [kW] is a Series (one meter) or a DataFrame (a
column a meter) over an aware index that marks the **start** of each interval; NaN is missing and
never zero. A time without a zone is local. An interval belongs to the event in which it starts.

==========================  ====================================================================
rule                        from
==========================  ====================================================================
`ten_of_ten`                the mean of the last 10 days
`five_of_ten`               the 5 days of highest use of the last 10
`four_of_five`              the 4 of highest use of the last 5
`three_of_five`             the 3 of highest use of the last 5
`match_day`                 the 3 days most like the day of the event
`ninety_ten`                0.9 × what was + 0.1 × the last day, day by day
`same_day`                  3 hours before and 2 after
`meter_before_after`        the hour before
`control_group`             meters that were not asked
`twin`                      the truth, which only a simulator has
`given`                     somebody else's
==========================  ====================================================================

The first eight need nothing but the meter: `RULES` has them by name, and `Options` says what they
take. Days are those of the event's kind (business day, Saturday, Sunday or holiday) within the
last 45 and without an event of their own. Where there are fewer than a rule asks for, it takes
those there are; where they are under its least number, called days too, of highest use first; each
time the `note` of the result says so.
"""

from venlab.baselines.adjustment import Adjustment
from venlab.baselines.case import Options
from venlab.baselines.outcome import Baseline
from venlab.baselines.rules import (
    RULES,
    control_group,
    five_of_ten,
    four_of_five,
    given,
    match_day,
    meter_before_after,
    ninety_ten,
    same_day,
    ten_of_ten,
    three_of_five,
    twin,
)

__all__ = [
    "RULES",
    "Adjustment",
    "Baseline",
    "Options",
    "control_group",
    "five_of_ten",
    "four_of_five",
    "given",
    "match_day",
    "meter_before_after",
    "ninety_ten",
    "same_day",
    "ten_of_ten",
    "three_of_five",
    "twin",
]
