"""Random variates that are functions of a seed and a name: the same bits on every machine, in any order of drawing.

A variate of item i does not depend on who else draws: its bits are a hash of (seed, key of i, number of the draw), so a
candidate more or less changes nobody else's draw, and a replay draws the same without a generator's state. Floats are
made with + - * / sqrt and the exact log and exp alone.

Methods: SplitMix64's finaliser (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014)
as the hash; normals by inverting the distribution (Wichura, algorithm AS 241, Applied Statistics 37, 1988, about 16
digits); gammas by rejection (Marsaglia and Tsang, *A simple method for generating gamma variables*, TOMS 26, 2000); a
beta is G(a) / (G(a) + G(b)). Not for secrets.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.exact_math import exp_array, log_array

FloatArray = npt.NDArray[np.float64]
WordArray = npt.NDArray[np.uint64]

_ROUNDS_MAX = 64  # a gamma is accepted with probability > 0.95 each round: never reached, and then still a number

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)

# Coefficients of AS 241 (PPND16): numerator and denominator, highest power last.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_MIDDLE = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def key_of(name: str) -> int:
    """64 bits that stand for a name in every draw."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def repeated(keys: WordArray, times: int) -> WordArray:
    """`times` sets of keys that draw independently of each other, one after the other, shape (times * n,)."""
    sets = _mixed(np.arange(1, times + 1, dtype=np.uint64) * _FIRST)
    return (keys[None, :] ^ sets[:, None]).ravel()


def _mixed(words: WordArray) -> WordArray:
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def uniforms(seed: int, keys: WordArray, draw: int) -> FloatArray:
    """Draw number `draw` of each key: uniform on the open interval (0, 1), multiples of 2^-53 plus 2^-54; shape as
    keys."""
    start = _mixed(np.array([(seed + draw * int(_GOLDEN)) % 2**64], np.uint64))
    with np.errstate(over="ignore"):
        words = _mixed(_mixed(keys + start[0]) + _GOLDEN)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: FloatArray) -> FloatArray:
    over, under = (_polynomial(each, x) for each in coefficients)
    return over / under


def _polynomial(coefficients: tuple[float, ...], x: FloatArray) -> FloatArray:
    total = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def normal_quantiles(p: FloatArray) -> FloatArray:
    """The standard normal's quantile of each probability in (0, 1), shape as p."""
    q = p - 0.5
    near = np.abs(q) <= 0.425
    centre = q * _ratio(_CENTRE, np.where(near, 0.180625 - q * q, 0.0))
    if bool(near.all()):
        return centre
    r = np.sqrt(-log_array(np.where(q < 0.0, p, 1.0 - p)))
    outer = np.where(r <= 5.0, _ratio(_MIDDLE, r - 1.6), _ratio(_TAIL, r - 5.0))
    return np.where(near, centre, np.where(q < 0.0, -outer, outer))


def normals(seed: int, keys: WordArray, draw: int) -> FloatArray:
    """Standard normal variates, shape as keys."""
    return normal_quantiles(uniforms(seed, keys, draw))


def gumbels(seed: int, keys: WordArray, draw: int) -> FloatArray:
    """Standard Gumbel variates, shape as keys: the largest of score + Gumbel is a draw from softmax(score)."""
    return -log_array(-log_array(uniforms(seed, keys, draw)))


def gammas(shapes: FloatArray, seed: int, keys: WordArray, draw: int) -> FloatArray:
    """Gamma variates of scale 1, shape as `shapes` (each above 0)."""
    small = shapes < 1.0
    d = np.where(small, shapes + 1.0, shapes) - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    made = d.copy()  # the mode: what an item that never is accepted would keep
    waiting = np.arange(len(shapes))
    for round_ in range(_ROUNDS_MAX):
        number = draw + 2 * round_
        x = normals(seed, keys[waiting], number)
        u = uniforms(seed, keys[waiting], number + 1)
        root = 1.0 + c[waiting] * x
        v = root * root * root
        inside = np.maximum(v, 2.0**-1000)
        bound = 0.5 * x * x + d[waiting] * (1.0 - v + log_array(inside))
        accepted = (v > 0.0) & (log_array(u) < bound)
        made[waiting[accepted]] = (d[waiting] * v)[accepted]
        waiting = waiting[~accepted]
        if not len(waiting):
            break
    if bool(small.any()):  # G(a) = G(a + 1) * U^(1/a)
        u = uniforms(seed, keys[small], draw + 2 * _ROUNDS_MAX)
        made[small] = made[small] * exp_array(log_array(u) / shapes[small])
    return made


def betas(a: FloatArray, b: FloatArray, seed: int, keys: WordArray) -> FloatArray:
    """Beta(a, b) variates, shape as a; both parameters above 0."""
    first = gammas(a, seed, keys, 0)
    second = gammas(b, seed, keys, 4 * _ROUNDS_MAX)
    total = first + second
    return np.where(total > 0.0, first / np.where(total > 0.0, total, 1.0), a / (a + b))
