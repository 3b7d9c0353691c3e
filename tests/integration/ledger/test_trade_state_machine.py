"""Any sequence of client requests about trades and cash, compared with a model that sorts and folds exact fractions."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import count
from math import floor
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support.moto_state import clear_all, fast_transactions
from tests.support.system import in_process_system
from tests.support.trading import Account, account, counts, csv_file, day, split, trade

STATUSES = ["success", "success", "pending", "failed"]
numbers = st.integers(1, 12)
symbols = st.sampled_from("AB")
days = st.integers(0, 8)
statuses = st.sampled_from(STATUSES)
sides = st.sampled_from(["BUY", "BUY", "SELL"])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        **{"quantity": numbers, "amount": numbers, "status": statuses, "at": days},
        **{"side": sides, "symbol": symbols},
    },
)
ROWS = st.fixed_dictionaries(
    {"side": sides, "symbol": symbols, "quantity": numbers, "amount": numbers, "status": statuses, "at": days}
)


PLAIN: dict[str, Any] = {"rank": 0, "kind": "trade", "parent": None}
CASH_ROWS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["deposit", "dividend", "withdrawal", "fee"]),
        "amount": st.integers(1, 30),
        "at": days,
        "is_void": st.just(False),
    }
)
CASH_CHANGES = st.fixed_dictionaries({}, optional={"amount": st.integers(1, 30), "at": days, "is_void": st.booleans()})


SIDES = {
    **dict.fromkeys(("transfer_in", "free_shares", "spin_off"), "BUY"),
    **dict.fromkeys(("transfer_out", "write_off", "return_of_capital"), "SELL"),
}
WITH_AMOUNT = {"trade", "transfer_in", "return_of_capital", "spin_off"}


class NegativeQuantity(Exception):
    """Raised by the model where more is sold than held, or more cost is taken than there is."""


def fits_kind(each: dict[str, Any]) -> bool:
    """Return whether a trade has the values of its kind, and no others."""
    kind = each["kind"]
    has_values = (bool(each["quantity"]), bool(each["amount"])) == (kind != "return_of_capital", kind in WITH_AMOUNT)
    return has_values and each["side"] == SIDES.get(kind, each["side"]) and each["symbol"] != each["parent"]


def cash_of(each: dict[str, Any]) -> int:
    """Return the change of cash by a trade; each has a fee of 1, and movements have none."""
    if each["kind"] == "trade":
        return int(each["amount"] * (-1 if each["side"] == "BUY" else 1) - 1)
    return int(each["amount"]) if each["kind"] == "return_of_capital" else 0


def rounded(number: Fraction, places: int) -> Fraction:
    """Return the number rounded half up."""
    return Fraction(floor(number * 10**places + Fraction(1, 2)), 10**places)


def with_ranks(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new rows of a file with their ranks: at an instant, a buy after a sell begins the next rank."""
    newest: dict[Any, tuple[int, str]] = {}
    for row in (*(dict(row) for row in old.values()), *new.values()):
        place = (row["symbol"], row["at"])
        rank, side = newest.get(place, (0, "BUY"))
        row["rank"] = rank + (side == "SELL" and row["side"] == "BUY")
        newest[place] = (row["rank"], row["side"])
    return new


@dataclass
class ExpectedLedger:
    """Trades by `ref_id` in their present and their first revision, splits, and cash entries.

    `opening` is the cash of the creation, None where trades count from the earliest cash entry on.
    """

    opening: Fraction | None
    may_be_negative: bool = False
    cash: dict[str, dict[str, Any]] = field(default_factory=dict)
    trades: dict[str, dict[str, Any]] = field(default_factory=dict)
    first: dict[str, dict[str, Any]] = field(default_factory=dict)
    splits: dict[tuple[str, int], Fraction] = field(default_factory=dict)

    def sums(self) -> dict[str, tuple[Fraction, Fraction, Fraction]]:
        """Return quantity, cost basis and profit of each symbol; raises `NegativeQuantity`."""
        result = {}
        steps: list[tuple[Any, str, Any]] = [((at, -1), symbol, ratio) for (symbol, at), ratio in self.splits.items()]
        active = [each for each in self.trades.values() if each["status"] == "success"]
        parents = [
            each | {"symbol": each["parent"], "side": "SELL", "quantity": 0} for each in active if each["parent"]
        ]
        steps += [
            (tuple(each[name] for name in ("at", "rank", "side", "quantity", "amount", "kind")), each["symbol"], each)
            for each in (*active, *parents)
        ]
        for symbol in "AB":
            quantity = cost = profit = Fraction()
            was_held = False
            for *_, step in sorted((each for each in steps if each[1] == symbol), key=lambda each: each[0]):
                if isinstance(step, Fraction):
                    quantity = rounded(quantity * step, 9)
                    continue
                if step["side"] == "BUY":
                    quantity, cost = quantity + step["quantity"], cost + step["amount"] + (step["kind"] == "trade")
                elif not step["quantity"]:
                    excess = max(step["amount"] - cost, Fraction())
                    if not was_held or (excess and step["parent"]):
                        raise NegativeQuantity
                    cost, profit = cost - step["amount"] + excess, profit + excess
                else:
                    if step["quantity"] > quantity:
                        raise NegativeQuantity
                    sold = rounded(cost * step["quantity"] / quantity, 2)
                    quantity, cost = quantity - step["quantity"], cost - sold
                    profit += 0 if step["kind"] == "transfer_out" else cash_of(step) - sold
                was_held = True
            result[symbol] = (quantity, cost, profit)
        return result

    def balances(self) -> list[Fraction]:
        """Return the cash at the end of each day, empty where cash is not tracked; each trade costs a fee of 1."""
        active = [each for each in self.cash.values() if not each["is_void"]]
        if self.opening is None and not active:
            return []
        start = min(each["at"] for each in active) if self.opening is None else 0
        changes = [
            (each["at"], each["amount"] * (1 if each["type"] in {"deposit", "dividend"} else -1)) for each in active
        ]
        changes += [
            (each["at"], cash_of(each))
            for each in self.trades.values()
            if each["status"] == "success" and each["at"] >= start
        ]
        opening = self.opening or Fraction()
        return [opening + sum((change for at, change in changes if at <= day), Fraction()) for day in range(9)]

    def allows(self, **changes: Any) -> bool:
        """Return whether the ledger breaks no rule with these trades, cash entries or splits instead of its own."""
        then = replace(self, **changes)
        try:
            then.sums()
        except NegativeQuantity:
            return False
        return self.may_be_negative or all(balance >= 0 for balance in then.balances())


class Trading(RuleBasedStateMachine):
    """Requests of a client about a single portfolio."""

    stack: ExitStack
    system: Any

    @initialize(cash=st.sampled_from([None, None, 0, 300]), is_margin=st.booleans())
    def open(self, cash: int | None, is_margin: bool) -> None:
        clear_all()
        clear_all("market")
        may_be_negative = is_margin and cash is not None
        members: dict[str, Any] = {} if cash is None else {"cash": cash}
        members |= {"cash_tracking": "margin"} if may_be_negative else {}
        self.mine: Account = account(self.system, "1", **members)
        self.model = ExpectedLedger(None if cash is None else Fraction(cash), may_be_negative)
        self.refs = count()

    def _body(self, ref: str, members: dict[str, Any]) -> dict[str, Any]:
        more = {"symbol": members["symbol"], "fees": 1, "status": members["status"]}
        if members["kind"] != "trade":
            more |= {"fees": None, "kind": members["kind"], "spun_off_from": members["parent"]}
        numbers = (members["quantity"] or None, members["amount"] or None)
        return dict(trade(ref, members["side"], *numbers, members["at"], **more))

    def _expect(self, answer: Any, ref: str, members: dict[str, Any], done: int) -> None:
        then = {**self.model.trades, ref: members}
        if members == self.model.trades.get(ref):
            assert answer.status == done
        elif not (fits_kind(members) and self._is_possible(ref, members, then)):
            assert answer.status == 422, answer.text
        else:
            assert answer.status == done, answer.text
            self.model.trades = then
            self.model.first.setdefault(ref, members)

    def _is_possible(self, ref: str, members: dict[str, Any], then: Any) -> bool:
        statuses = {members["status"], self.model.trades.get(ref, {}).get("status")}
        return "success" not in statuses or self.model.allows(trades=then)

    @rule(side=sides, symbol=symbols, quantity=numbers, amount=numbers, status=statuses, at=days)
    def record(self, **members: Any) -> None:
        ref, members = f"t{next(self.refs)}", {**members, **PLAIN}
        self._expect(self.mine.post_trade(self._body(ref, members)), ref, members, 201)

    @rule(kind=st.sampled_from(sorted(SIDES)), symbol=symbols, quantity=numbers, amount=numbers, at=days)
    def move(self, kind: str, symbol: str, quantity: int, amount: int, at: int) -> None:
        ref, parent = f"t{next(self.refs)}", "AB"[symbol == "A"] if kind == "spin_off" else None
        values = {
            "quantity": quantity if kind != "return_of_capital" else 0,
            "amount": amount if kind in WITH_AMOUNT else 0,
        }
        place = {"symbol": symbol, "at": at, "status": "success", "side": SIDES[kind]}
        members = {**place, **values, **PLAIN, "kind": kind, "parent": parent}
        self._expect(self.mine.post_trade(self._body(ref, members)), ref, members, 201)

    @rule(data=st.data(), change=CHANGES)
    def correct(self, data: Any, change: dict[str, Any]) -> None:
        if not self.model.trades or not change:
            return
        ref = data.draw(st.sampled_from(sorted(self.model.trades)))
        sent = {name: value for name, value in change.items() if name != "at"}
        sent |= {"executed_at": day(change["at"])} if "at" in change else {}
        before = self.model.trades[ref]
        after = {**before, **change}
        is_moved = any(after[name] != before[name] for name in ("at", "symbol"))
        self._expect(self.mine.correct(ref, **sent), ref, {**after, "rank": 0 if is_moved else before["rank"]}, 200)

    @rule(data=st.data(), is_other=st.booleans())
    def repeat(self, data: Any, is_other: bool) -> None:
        if not self.model.first:
            return
        ref = data.draw(st.sampled_from(sorted(self.model.first)))
        first = self.model.first[ref]
        changed = "amount" if first["amount"] else "quantity"
        body = self._body(ref, first | ({changed: 99} if is_other else {}))
        answer = self.mine.post_trade(body)
        assert answer.status == (409 if is_other else 201)
        assert is_other or (answer.json["revision"], answer.json["status"]) == (1, first["status"])

    @rule(rows=st.lists(ROWS, min_size=1, max_size=5), again=st.booleans())
    def import_rows(self, rows: list[dict[str, Any]], again: bool) -> None:
        plain = [(ref, each) for ref, each in self.model.first.items() if each["kind"] == "trade"]
        old = dict(plain[:3]) if again else {}
        new = with_ranks(old, {f"t{next(self.refs)}": row | PLAIN for row in rows})
        text = csv_file([self._body(ref, members) for ref, members in {**old, **new}.items()])
        answer = self.mine.upload(text)
        then = {**self.model.trades, **new}
        if not self.model.allows(trades=then):
            assert answer.status == 422, answer.text
            return
        assert (answer.status, *counts(answer.json)) == (200, len(new), len(old))
        self.model.trades = then
        self.model.first |= new
        assert self.mine.upload(text).json["recorded"] == 0

    @rule(row=CASH_ROWS)
    def move_cash(self, row: dict[str, Any]) -> None:
        ref = f"c{next(self.refs)}"
        then = {**self.model.cash, ref: row}
        answer = self.mine.cash(ref, row["type"], row["amount"], row["at"])
        assert answer.status == (201 if self.model.allows(cash=then) else 422), answer.text
        if answer.status == 201:
            self.model.cash = then

    @rule(data=st.data(), change=CASH_CHANGES)
    def correct_cash(self, data: Any, change: dict[str, Any]) -> None:
        if not self.model.cash or not change:
            return
        ref = data.draw(st.sampled_from(sorted(self.model.cash)))
        then = {**self.model.cash, ref: {**self.model.cash[ref], **change}}
        if self.model.opening is None and all(each["is_void"] for each in then.values()):
            return  # the start of tracked cash stays: tested elsewhere
        sent = {name: value for name, value in change.items() if name != "at"}
        sent |= {"executed_at": day(change["at"])} if "at" in change else {}
        answer = self.mine.correct_cash(ref, **sent)
        assert answer.status == (200 if self.model.allows(cash=then) else 422), answer.text
        if answer.status == 200:
            self.model.cash = then

    @rule(rows=st.lists(CASH_ROWS, min_size=1, max_size=4))
    def import_cash(self, rows: list[dict[str, Any]]) -> None:
        new = {f"c{next(self.refs)}": row for row in rows}
        then = {**self.model.cash, **new}
        lines = [f"{ref},{row['type']},{row['amount']},{day(row['at'])}" for ref, row in new.items()]
        answer = self.mine.upload("\n".join(["ref_id,type,amount,executed_at", *lines]), kind="cash")
        assert answer.status == (200 if self.model.allows(cash=then) else 422), answer.text
        if answer.status == 200:
            self.model.cash = then

    @rule(symbol=symbols, at=days, new=st.integers(1, 3), old=st.integers(1, 3))
    def enter_split(self, symbol: str, at: int, new: int, old: int) -> None:
        known = self.model.splits.get((symbol, at))
        splits = {**self.model.splits, (symbol, at): Fraction(new, old)}
        if known is not None or new == old or not self.model.allows(splits=splits):
            return  # a split that contradicts recorded sells is tested elsewhere
        assert split(self.system, at, new, old, symbol).status == 200
        self.model.splits = splits

    @invariant()
    def holdings_equal_the_model(self) -> None:
        if not hasattr(self, "mine"):
            return
        answer = self.mine.holdings()
        sums = self.model.sums()
        seen = {
            item["symbol"]: tuple(Fraction(item[name]) for name in ("quantity", "cost_basis", "realised_profit"))
            for item in answer["items"]
        }
        zero = (Fraction(), Fraction(), Fraction())
        assert {symbol: seen.get(symbol, zero) for symbol in "AB"} == sums
        balances = self.model.balances()
        assert (None if answer["cash"] is None else Fraction(answer["cash"])) == (balances[-1] if balances else None)


@pytest.fixture
def trading() -> Iterator[type[Trading]]:
    """The state machine, with a system shared by all examples."""
    with in_process_system() as system, fast_transactions():
        Trading.system = system
        yield Trading


@pytest.mark.volume
def test_after_any_requests_the_holdings_equal_the_fold_of_all_trades(trading: type[Trading]) -> None:
    run_state_machine_as_test(trading, settings=settings(max_examples=12, stateful_step_count=25, deadline=None))
