"""Expected bad debt of an account, valued as a put option.

A position of value 1 with equity e is worth less than nothing once the price has moved by more than e: over a delay
that is a put with strike 1 - e at zero rate. For ranking only, in float64: it never decides what is legal.
"""

from math import erf, inf, log, sqrt

VOLATILITY = 1.5  # a year, of every market alike
DELAY_S = 600  # until somebody else would have stepped in
_YEAR_S = 365 * 86_400


def shortfall(equity: float, notional: float, volatility: float = VOLATILITY, delay_s: float = DELAY_S) -> float:
    """Expected bad debt in dollars after `delay_s` of an account with this equity and gross notional.

    Black-Scholes put on a value of 1 with strike 1 - equity / notional, times the notional. A lower bound: no jumps,
    and positions are taken to move together.
    """
    if notional <= 0:
        return max(0.0, -equity)
    strike = 1.0 - equity / notional
    if strike <= 0:
        return 0.0
    deviation = volatility * sqrt(delay_s / _YEAR_S)
    distance = -log(strike) / deviation if strike < inf else -inf
    upper = distance + deviation / 2
    lower = upper - deviation
    return notional * (strike * _normal(-lower) - _normal(-upper))


def _normal(x: float) -> float:
    return 0.5 * (1.0 + erf(x / sqrt(2.0)))
