"""Currencies of ISO 4217: the decimals in which cash is kept, and amounts as text."""

from decimal import Decimal

from trimtab.kernel.money import MONEY_PLACES, count_decimals

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


def money_text(number: Decimal, currency: str) -> str:
    """Return an amount of money with the decimals of its currency, and with more where the number has more.

    >>> money_text(Decimal("1500.00"), "JPY"), money_text(Decimal("1500"), "USD")
    ('1500', '1500.00')
    """
    return f"{number:.{max(minor_units(currency), count_decimals(number))}f}"
