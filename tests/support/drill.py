"""Steps of the drill: the state and the metrics of each failure, the commands of the runbook, and the healthy state.

The drill in this process and the drill on the deployed system take the same steps.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Response(Protocol):
    """A response of the API."""

    @property
    def status(self) -> int: ...

    @property
    def json(self) -> Any: ...


class Drill(Protocol):
    """A system under drill: the API with all scopes, the command line for operators, and the logged metrics."""

    def call(self, method: str, path: str, body: Any = None) -> Response:
        """Return the response of the API."""

    def trimtab(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the operator; return the exit code and the output."""

    def rows(self, *arguments: str) -> Any:
        """Run a command with `--json` and return the printed rows."""

    def see(self, metric: str) -> None:
        """Assert that functions have logged the metric, above zero, since the drill began."""


def repair_open_circuit(drill: Drill, repair: Callable[[], None], retry: Callable[[], None]) -> None:
    """See an open circuit of the broker, halt, repair, retry and resume."""
    drill.see("CircuitsOpened")
    code, shown = drill.trimtab("circuits")
    assert (code, "OPEN" in shown) == (1, True), shown
    assert drill.trimtab("halt", "--reason", "The broker is down.")[0] == 0
    repair()
    assert drill.trimtab("resume")[0] == 0
    retry()
    assert drill.trimtab("circuits")[0] == 0


def repair_missing_bars(drill: Drill, run_night: Callable[[], bool], repair: Callable[[], None]) -> None:
    """See a night that failed for lack of bars, and run the next one with bars."""
    assert not run_night()
    drill.see("DaysFailed")
    repair()
    assert run_night()
    (feed,) = (row for row in drill.rows("feeds") if row["feed"] == "bars")
    assert feed["last_success"] is not None


def delete_poison(drill: Drill, poison: str) -> None:
    """See an unreadable message among the dead letters, and delete the message."""
    drill.see("PoisonMessages")
    (letter,) = (each for each in drill.rows("dead-letters", "list") if each["body"] == poison)
    queue = ("--queue", letter["queue"], "--message-id", letter["message_id"])
    assert letter["queue"] == "rebalance-requests"
    code, shown = drill.trimtab("dead-letters", "delete", *queue, "--execute")
    assert code == 0, shown
    assert drill.trimtab("dead-letters", "list", *queue)[0] == 0


def withdraw_wrong_quote(drill: Drill, symbol: str, send: Callable[[int], object]) -> None:
    """Send a quote and a hundred times its price, see that the second is held, and withdraw the second."""
    send(100)
    send(10_000)
    drill.see("QuotesHeld")
    shown = drill.call("GET", f"/quotes/{symbol}").json
    assert (shown["price"], shown["held"]["price"]) == ("100", "10000")
    as_of = shown["held"]["as_of"].replace("+", "%2B")
    withdrawn = drill.call("DELETE", f"/quotes/{symbol}?as_of={as_of}&reason=cents%20for%20dollars")
    assert withdrawn.status == 200
    shown = drill.call("GET", f"/quotes/{symbol}").json
    assert (shown["price"], shown["held"]) == ("100", None)
