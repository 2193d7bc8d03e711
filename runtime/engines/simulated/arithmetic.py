"""Arithmetic for real: finds an expression in a text and computes it exactly.

Invariant: the work is bounded whatever the text; only numbers, `+ - * / ^` and parentheses are understood.
"""

from __future__ import annotations

import ast
import re
from decimal import Decimal
from fractions import Fraction

__all__ = ["number_text", "value_in"]

_MAX_LENGTH = 120
_MAX_BASE = 10**6
_MAX_EXPONENT = 12
_MAX_DECIMALS = 6
_MAX_VALUE = 10**18
_WORDS = {"plus": "+", "minus": "-", "times": "*", "multiplied by": "*", "divided by": "/"}
_WORD = re.compile(r"\b(plus|minus|times|multiplied by|divided by)\b", re.IGNORECASE)
_TIMES = re.compile(r"(?<=\d)[ \t]*x[ \t]*(?=\d)")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})
_EXPRESSION = re.compile(r"[\d+\-*/^(). \t]+")


def value_in(text: str) -> Fraction | None:
    """The value of the longest arithmetic expression in the text, None where there is none (a lone number is none)."""
    text = _WORD.sub(lambda word: _WORDS[word[0].lower()], text).translate(_SIGNS)
    text = _THOUSANDS.sub("", _TIMES.sub(" * ", text))
    runs = sorted((run.strip(" \t.") for run in _EXPRESSION.findall(text)), key=len, reverse=True)
    values = (_value(run) for run in runs[:4])
    return next((value for value in values if value is not None), None)


def number_text(value: Fraction | int) -> str:
    """`391`, `2.5`, or `7/3` where no decimal ends soon."""
    if value.denominator == 1:
        return str(value.numerator)
    for decimals in range(1, _MAX_DECIMALS + 1):
        if (scaled := value * 10**decimals).denominator == 1:
            return str(Decimal(scaled.numerator).scaleb(-decimals))
    return str(value)


def _value(expression: str) -> Fraction | None:
    if not 3 <= len(expression) <= _MAX_LENGTH:
        return None
    try:
        tree = ast.parse(expression.replace("^", "**"), mode="eval").body
        value = _computed(tree) if isinstance(tree, ast.BinOp) else None
        return value if value is None or abs(value) <= _MAX_VALUE else None
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError, MemoryError):
        return None


def _computed(tree: ast.expr) -> Fraction:
    match tree:
        case ast.Constant(value=int() | float() as value):
            return Fraction(str(value))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_computed(operand)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _computed(left) + _computed(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _computed(left) - _computed(right)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _computed(left) * _computed(right)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _computed(left) / _computed(right)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_computed(left), _computed(right))
    raise ValueError("not arithmetic")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > _MAX_EXPONENT or abs(base) > _MAX_BASE:
        raise ValueError("too large")
    if base.denominator > _MAX_BASE:
        raise ValueError("too fine")
    return base ** int(exponent)
