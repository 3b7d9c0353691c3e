"""Currencies of ISO 4217: the decimals in which cash is kept, rounding to them, and amounts as text."""

from decimal import ROUND_HALF_UP, Decimal

from trimtab.kernel.errors import Unprocessable
from trimtab.kernel.money import MONEY_PLACES, count_decimals, decimals_text, to_places

USD = "USD"
"""Currency of a portfolio that states none, and of stored money without a currency."""

_WITHOUT_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"
_DECIMALS = {
    **dict.fromkeys(_WITHOUT_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
}
"""The currencies whose minor unit is not a hundredth.

Source: ISO 4217:2015, list one of the maintenance agency (SIX), column "minor unit".
"""


def minor_units(currency: str) -> int:
    """Return the number of decimals of a currency; 2 for all currencies that the table does not name.

    >>> minor_units("JPY"), minor_units("USD"), minor_units("KWD")
    (0, 2, 3)
    """
    return _DECIMALS.get(currency, MONEY_PLACES)


def smallest_amount(currency: str) -> Decimal:
    """Return the smallest amount of money of a currency.

    >>> smallest_amount("JPY"), smallest_amount("USD")
    (Decimal('1'), Decimal('0.01'))
    """
    return Decimal(1).scaleb(-minor_units(currency))


def round_money(number: Decimal, currency: str, rounding: str = ROUND_HALF_UP) -> Decimal:
    """Return the number as money: rounded to the decimals of its currency, by default half up.

    >>> round_money(Decimal("1499.5"), "JPY"), round_money(Decimal("1.2345"), "KWD")
    (Decimal('1500'), Decimal('1.235'))
    """
    return to_places(number, minor_units(currency), rounding)


def require_decimals(field: str, amount: Decimal, currency: str) -> None:
    """Raise `Unprocessable` (`too_many_decimals`) where the amount has more decimals than its currency.

    >>> require_decimals("amount", Decimal("1500.00"), "JPY")
    """
    places = minor_units(currency)
    if count_decimals(amount) > places:
        detail = f"An amount in {currency} has at most {places} decimals; input is not rounded."
        raise Unprocessable("too_many_decimals", detail, errors=[{"field": field, "detail": detail}])


def money_text(number: Decimal, currency: str) -> str:
    """Return an amount of money with the decimals of its currency, and with more where the number has more.

    >>> money_text(Decimal("1500.00"), "JPY"), money_text(Decimal("1500"), "USD")
    ('1500', '1500.00')
    """
    return decimals_text(number, minor_units(currency))
