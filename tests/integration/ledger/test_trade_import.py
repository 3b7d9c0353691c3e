"""Importing trades: invalid rows are named by line and field, and the same file again completes an import."""

from typing import Any

import pytest

from tests.support.faults import injecting
from tests.support.moto_state import stored_items
from tests.support.system import EVENTS, System
from tests.support.trading import Account, account, counts, csv_file, ledger_items, refused, split, trade
from trimtab.kernel.retry import MAX_ATTEMPTS

SAMPLE = (EVENTS / "direct/trades.csv").read_text()


@pytest.fixture
def mine(system: System) -> Account:
    """A portfolio of user 1."""
    return account(system)


def buys(count: int, first: int = 0, **members: Any) -> list[dict[str, Any]]:
    """Return a number of buys of a single unit for 2, an hour apart."""
    return [trade(f"r{number}", "BUY", 1, 2, number / 24, **members) for number in range(first, first + count)]


@pytest.mark.parametrize("is_base64", [False, True])
def test_importing_the_sample_file_twice_changes_nothing(mine: Account, is_base64: bool) -> None:
    assert counts(mine.import_file(SAMPLE, is_base64=is_base64)) == (4, 0)
    # 10 for 1500 + 1; 4 of them cost 600.40: 6 for 900.60, realised 720 - 1 - 600.40 = 118.60. 25.5 * 101.20 = 2580.60
    assert (mine.sums(), mine.sums("VWCE.DE")) == (("6", "900.60", "118.60"), ("25.5", "2580.60", "0.00"))
    assert mine.sums("BTC") is None  # pending
    before = stored_items()
    assert counts(mine.import_file(SAMPLE)) == (0, 4)
    assert stored_items() == before


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + SAMPLE,
        SAMPLE.replace("\n", "\r\n"),
        SAMPLE.rstrip("\n"),
        SAMPLE.replace("\n", "\n\n"),
        SAMPLE.replace(",", " , "),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in SAMPLE.splitlines()),
        "\n".join(",".join(reversed(line.split(","))) for line in SAMPLE.splitlines()),
    ],
    ids=["byte order mark", "CRLF", "no last line end", "blank lines", "blanks", "quotes", "other order of columns"],
)
def test_common_variants_of_csv_are_accepted(mine: Account, text: str) -> None:
    assert mine.upload(SAMPLE).status == 200
    assert counts(mine.import_file(text)) == (0, 4)


def test_every_invalid_row_is_named_by_line_and_field_and_nothing_is_recorded(mine: Account) -> None:
    good = trade("a", "BUY", 1, 2, 1)
    rows = [
        good,
        good | {"ref_id": "b", "quantity": -1},
        good | {"ref_id": "c", "symbol": "\u0410", "amount": "1.0000000001"},
        good,
        good | {"ref_id": "e", "price": 3},
        good | {"ref_id": "f", "amount": ""},
        good | {"ref_id": "", "side": "KEEP", "executed_at": "yesterday"},
        good | {"ref_id": "g", "quantity": "1e400"},
        good | {"ref_id": "h", "quantity": "NaN"},
    ]
    problem = refused(mine.upload(csv_file(rows) + "i,BUY,stock,A,1,1,,,,,more\nj,BUY\n"), 400, "invalid_rows")
    fields = [error["field"] for error in problem["errors"]]
    assert fields == [
        "line 3: quantity",
        *("line 4: symbol", "line 4: amount"),
        "line 5: ref_id",
        *("line 6", "line 7"),
        *("line 8: ref_id", "line 8: side", "line 8: executed_at"),
        *("line 9: quantity", "line 10: quantity"),
        "line 11",
        "line 12",
    ]
    assert all(error["detail"] for error in problem["errors"])
    assert ledger_items() == []


def test_a_row_in_the_future_is_named_by_line_and_field(mine: Account) -> None:
    rows = [trade("a", "BUY", 1, 2, 1), trade("b", "BUY", 1, 2, executed_at="2999-01-01T00:00:00Z")]
    answer = mine.upload(csv_file(rows))
    assert answer.status in {400, 422}
    assert [error["field"] for error in answer.json.get("errors", [])] == ["line 3: executed_at"]
    assert ledger_items() == []


@pytest.mark.parametrize(
    ("text", "type"),
    [
        ("", "invalid_header"),
        ("a,b\n1,2\n", "invalid_header"),
        (SAMPLE.replace("quantity", "volume"), "invalid_header"),
        (SAMPLE.replace("price", "amount"), "invalid_header"),
        (SAMPLE.splitlines()[0] + "\n", "no_rows"),
        (SAMPLE + '"unfinished', "invalid_csv"),
        (SAMPLE + '"a"b,BUY\n', "invalid_csv"),
        (SAMPLE.replace("\n", "\r"), "invalid_csv"),
        (SAMPLE + "x" * 140_000, "invalid_csv"),
        (SAMPLE.replace("import-2", "import\x002"), "invalid_rows"),
    ],
)
def test_an_invalid_file_is_refused(mine: Account, text: str, type: str) -> None:
    refused(mine.upload(text), 400, type)
    assert ledger_items() == []


def test_a_body_of_4_mib_is_read_and_one_byte_more_is_refused(mine: Account) -> None:
    frame = csv_file(buys(1))
    blank = " " * 100_000 + "\n"
    text = frame + blank * ((4 * 1024 * 1024 - len(frame)) // len(blank))
    text += "\n" * (4 * 1024 * 1024 - len(text))
    assert mine.upload(text).status in {200, 400}
    refused(mine.upload(text + "\n"), 413, "body_too_large")
    refused(mine.upload(text + "\n" * 3, is_base64=True), 413, "body_too_large")


def test_another_content_type_than_csv_is_refused(mine: Account) -> None:
    path = f"{mine.home}/trades/import"
    assert mine.system.http("POST", path, SAMPLE).status == 415
    assert mine.system.http("POST", path, {"rows": []}).status == 415
    assert mine.system.http("POST", f"{mine.home}/trades", SAMPLE, headers={"Content-Type": "text/csv"}).status == 415


def test_rows_recorded_with_other_members_are_named_and_nothing_is_recorded(mine: Account) -> None:
    mine.record("r1", "BUY", 5, 5, 1)
    problem = refused(mine.upload(csv_file(buys(3))), 409, "ref_id_reused")
    assert [error["field"] for error in problem["errors"]] == ["line 3: ref_id"]
    assert len(ledger_items()) == 1


def test_a_trade_recorded_or_corrected_before_is_not_imported_again(mine: Account) -> None:
    mine.post_trade(buys(1)[0])
    mine.correct("r0", quantity=3)
    assert counts(mine.import_file(csv_file(buys(3)))) == (2, 1)
    assert mine.sums() == ("5", "6.00", "0.00")


@pytest.mark.parametrize("count", [2, 89])
def test_nothing_is_recorded_where_the_rows_together_break_a_rule(system: System, count: int) -> None:
    rows = buys(count)
    mine = account(system)
    refused(mine.upload(csv_file([*rows, trade("s", "SELL", count + 1, 9, 30)])), 422, "insufficient_quantity")
    refused(mine.upload(csv_file([*rows, trade("s", "SELL", 1, 9, -1)])), 422, "insufficient_quantity")
    poor = account(system, "2", cash=2 * count - 1)
    refused(poor.upload(csv_file(rows)), 422, "insufficient_cash")
    assert ledger_items() == []
    assert account(system, "3", cash=2 * count).upload(csv_file(rows)).status == 200


def test_rows_may_cover_recorded_sells_in_any_order_of_the_file(mine: Account) -> None:
    """The first chunk of the file has only sells, covered by the buys of the second chunk."""
    mine.record("a", "BUY", 100, 200, 0)
    mine.record("z", "SELL", 100, 400, 20)
    sells = [trade(f"s{number}", "SELL", 1, 3, 1 + number / 100) for number in range(95)]
    refills = [trade(f"b{number}", "BUY", 1, 2, 3 + number / 100) for number in range(95)]
    assert counts(mine.import_file(csv_file(sells + refills))) == (190, 0)
    assert mine.holding()["quantity"] == "0.000000000"


def test_a_split_between_the_rows_of_a_file_is_applied(mine: Account) -> None:
    split(mine.system, 2, 3)
    rows = [trade("a", "BUY", 2, 60, 1), trade("b", "SELL", 4, 60, 3), trade("c", "BUY", 1, 9, 2)]
    assert mine.upload(csv_file(rows)).status == 200
    # 2 for 60; 6 for 60; 7 for 69; 4 of 7 cost 39.43: 3 for 29.57, realised 60 - 39.43 = 20.57
    assert mine.sums() == ("3", "29.57", "20.57")


def test_an_import_at_once_is_repeated_after_a_concurrent_trade(mine: Account) -> None:
    concurrent = iter(range(MAX_ATTEMPTS - 1))
    with injecting() as faults:

        def record_concurrently(call: Any) -> None:
            if call.operation == "BatchGetItem" and (number := next(concurrent, None)) is not None:
                with faults.paused():
                    mine.record(f"x{number}", "BUY", 1, 2, 100 + number)

        faults.on_answer = record_concurrently
        assert counts(mine.import_file(csv_file(buys(90)))) == (90, 0)
    assert mine.sums() == (str(90 + MAX_ATTEMPTS - 1), f"{2 * (90 + MAX_ATTEMPTS - 1)}.00", "0.00")
