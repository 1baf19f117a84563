"""Resource quantities (`500m`, `64Mi`, `1e3`) and their canonical form.

The rules are those of k8s.io/apimachinery pkg/api/resource: an exact decimal number, rounded up at one nano unit,
which remembers the family of its suffix and is written with the largest suffix that leaves a whole number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_UP, Context, Decimal
from typing import Literal

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

_SPLIT = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
FORMAT_WRONG = f"quantities must match the regular expression '{_SPLIT}'"
NUMERIC_WRONG = "unable to parse numeric part of quantity"
SUFFIX_WRONG = "unable to parse quantity's suffix"

_SHAPE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {exponent: suffix for suffix, exponent in _BINARY.items()}
_NANO = Decimal("1e-9")
MILLI = Decimal("0.001")
_MAX_BINARY = Decimal(2**63 - 1)
_MAX_LENGTH = 256  # far beyond any real quantity; keeps arithmetic on hostile input small
_MAX_EXPONENT = 400  # of what no machine has; anything smaller than a nano unit is rounded up anyway
EXACT = Context(prec=1000)
"""Arithmetic that rounds no quantity."""


class QuantityError(ValueError):
    """The text is no quantity; the message is Kubernetes'."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact amount and the family of suffixes it is written with.

    `text` is what was parsed when Kubernetes would write it back unchanged; its test for that is cheap and not
    exact (`1.500` stays `1.500`), and clients see the result.
    """

    amount: Decimal
    format: Format
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        if self.text:
            return self.text
        if not self.amount:
            return "0"
        if self.format == "BinarySI" and abs(self.amount) >= 1024 and self.amount == int(self.amount):
            return _binary_text(int(self.amount))
        return _decimal_text(self.amount, exponent_form=self.format == "DecimalExponent")

    def value(self) -> int:
        """The amount in whole units, rounded up."""
        return int(self.amount.to_integral_value(ROUND_CEILING))

    def milli_value(self) -> int:
        """The amount in thousandths, rounded up."""
        return int(EXACT.scaleb(self.amount, 3).to_integral_value(ROUND_CEILING))


def parse(text: str) -> Quantity:
    """Read a quantity. Raises QuantityError in Kubernetes' words."""
    match = _SHAPE.fullmatch(text) if 0 < len(text) <= _MAX_LENGTH else None
    if match is None:
        raise QuantityError(FORMAT_WRONG)
    sign, whole, fraction, suffix = (group or "" for group in match.groups())
    base, exponent, form = _interpret(suffix)
    kept = text if _stays(whole.lstrip("0") or "0", fraction, base, exponent) else ""
    amount = Decimal(f"{whole or '0'}.{fraction or '0'}")
    amount = EXACT.scaleb(amount, exponent) if base == 10 else EXACT.multiply(amount, Decimal(2**exponent))
    if amount:
        amount = _round_up(amount)
    if form == "BinarySI":
        amount = min(amount, _MAX_BINARY)
        if 0 < amount < 1:
            form = "DecimalSI"
    return Quantity(-amount if sign == "-" else amount, form, kept)


def _stays(whole: str, fraction: str, base: int, exponent: int) -> bool:
    digits = whole + fraction
    if base == 2:
        short = 15 - len(whole) - exponent * 3 // 10 - 1 >= 0
        return short and not fraction and int(whole) & 7 != 0
    scale = exponent - len(fraction)
    return len(digits) <= 18 and scale >= -9 and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def canonical(text: str) -> str:
    """A quantity as Kubernetes writes it: `1000m` -> `1`, `1.5Gi` -> `1536Mi`. Raises QuantityError."""
    return str(parse(text))


def _interpret(suffix: str) -> tuple[int, int, Format]:
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], "DecimalSI"
    if suffix in _BINARY:
        return 2, _BINARY[suffix], "BinarySI"
    if suffix[:1] in ("e", "E") and re.fullmatch(r"[-+]?[0-9]{1,9}", suffix[1:], re.ASCII):
        exponent = int(suffix[1:])
        if exponent > _MAX_EXPONENT:
            raise QuantityError(NUMERIC_WRONG)
        return 10, max(exponent, -_MAX_EXPONENT), "DecimalExponent"
    raise QuantityError(SUFFIX_WRONG)


def _round_up(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -9:
        return amount
    return amount.quantize(_NANO, ROUND_UP, EXACT)


def _decimal_text(amount: Decimal, *, exponent_form: bool) -> str:
    sign, digits, exponent = amount.normalize(EXACT).as_tuple()
    assert isinstance(exponent, int)  # never NaN or infinite
    mantissa = int("".join(map(str, digits)))
    # The exponent goes down to a multiple of three (and into the range of the suffixes) by appending noughts.
    target = min(exponent - exponent % 3, 18) if not exponent_form else exponent - exponent % 3
    mantissa *= 10 ** (exponent - target)
    prefix = "-" if sign else ""
    if exponent_form:
        return f"{prefix}{mantissa}" + (f"e{target}" if target else "")
    return f"{prefix}{mantissa}{_DECIMAL_SUFFIX[target]}"


def _binary_text(amount: int) -> str:
    exponent = 0
    while amount % 1024 == 0 and exponent < 60:
        amount //= 1024
        exponent += 10
    return f"{amount}{_BINARY_SUFFIX[exponent] if exponent else ''}"
