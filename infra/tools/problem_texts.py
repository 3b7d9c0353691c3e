"""Texts about every problem type: what it means, and what to do."""

from collections.abc import Mapping

COMPUTED: Mapping[str, tuple[int, str]] = {
    "insufficient_funds": (422, ""),
    "internal_error": (500, ""),
    "no_target": (422, "The portfolio has no target allocation. Set a target first."),
    "not_100": (400, "The weights sum to …; they must sum to exactly 100."),
    "stale_as_of": (422, "A report with a later as_of has been applied already."),
    "unknown_portfolio": (404, "The user has no portfolio of this name."),
}
"""Status and detail of the problem types whose names are not literals where they are raised."""

NOT_ANSWERED = frozenset({"orders_hidden", "orders_moved", "portfolio_changed", "superseded", "unsettled"})
"""Refusals of workers and tools that no response has."""

_SAME_REQUEST = "Send the same request again after `Retry-After` seconds."

TEXTS: Mapping[str, tuple[str, str]] = {
    "already_settled": (
        "The order is settled, and a settlement is final.",
        "Read the order; do not settle or cancel it again.",
    ),
    "as_of_in_future": (
        "A time is more than 5 minutes ahead of the server's clock.",
        "Send the time of the data in UTC, and check the clock of the sender.",
    ),
    "bad_gateway": ("The gateway got no valid response of the function.", "Send the same request again."),
    "body_too_large": (
        "The body exceeds the size limit of the route.",
        "Send a smaller body; split a file or a list into several requests.",
    ),
    "both_won_and_void": ("A selection is in `winners` and in `voids`.", "Name each selection in one list only."),
    "broker_unavailable": ("The broker does not answer.", _SAME_REQUEST),
    "busy": ("The database or a queue refuses more requests for a moment.", _SAME_REQUEST),
    "cancelled": ("The order was cancelled and cannot be settled.", "Read the order; place a new one where needed."),
    "cash_is_tracked": (
        "The portfolio has cash entries, so that its cash cannot be off.",
        "Use the `cash_tracking` `margin`, or make the entries void first.",
    ),
    "cash_not_tracked": (
        "The portfolio does not track cash.",
        "Set `cash_tracking` to `on`, `margin` or `from_first_entry` first.",
    ),
    "closed": ("The portfolio is closed; it can be read but not changed.", "Create the portfolio again to open it."),
    "commission_too_high": (
        "The commission is larger than the winnings of the order.",
        "Send a commission of at most the winnings.",
    ),
    "connection_ended": (
        "The WebSocket connection has ended, or its token has expired.",
        "Connect again, with a new token if necessary.",
    ),
    "contended": ("Other requests changed the resource at the same time, repeatedly.", _SAME_REQUEST),
    "dead_heat_factor": (
        "The dead-heat factor is missing, not allowed or out of range.",
        "Give `dead_heat_factor`, above 0 and below 1, with the result `dead_heat` only.",
    ),
    "duplicate_key": ("A JSON object has the same key twice.", "Send each key once."),
    "executed_at_in_future": (
        "A time of execution is more than 5 minutes ahead of the server's clock.",
        "Send the time of execution in UTC, and check the clock of the sender.",
    ),
    "exists": (
        "The user has a portfolio of this name with other members.",
        "Change that portfolio, or choose another name.",
    ),
    "expected_value_too_low": (
        "The newest insight gives the order an expected value below the minimum of the platform.",
        "Place the order at better odds, or not at all.",
    ),
    "expired_link": ("The link to a chart has expired.", "Create a new link."),
    "exposure_limit": (
        "The order, or the cancellation of a hedge, would raise the exposure of the user above the limit.",
        "Lower the stake, or hedge or cancel open orders.",
    ),
    "forbidden": ("The gateway refuses the token for this request.", "Use a token for this API."),
    "import_incomplete": (
        "Another import that had recorded rows of this file was undone.",
        "Undo this import, too, then send the file again.",
    ),
    "insufficient_cash": (
        "Cash would be below zero at some instant.",
        "Record the deposit that paid for it, with its time, or set `cash_tracking` to `margin`.",
    ),
    "insufficient_cost": (
        "A spin-off takes more cost than the parent has at that time.",
        "Correct the amount or the time, or record the missing trades of the parent first.",
    ),
    "insufficient_funds": (
        "Cash and sells do not cover the withdrawal at the present prices.",
        "Withdraw less, or deposit cash first.",
    ),
    "insufficient_quantity": (
        "More units are sold, or go out, than the portfolio holds at that time.",
        "Record the missing buy first, or correct quantity or time.",
    ),
    "insufficient_scope": (
        "The token lacks the scope of the route.",
        "Use a token with the scope that `detail` names.",
    ),
    "internal_error": (
        "The server failed.",
        "Send the same request again. If the error persists, report the `trace_id`.",
    ),
    "invalid_base64": ("A call of gRPC-Web as text is not base64.", "Send the frame of the call as base64."),
    "invalid_body": ("The body is not text in UTF-8.", "Send the body as text in UTF-8."),
    "invalid_confidence": ("The confidence level is out of range.", "Send `confidence` from 0.5 to 0.999."),
    "invalid_csv": ("A line of the file is not valid CSV.", "Correct the line that `detail` names."),
    "invalid_cursor": (
        "The cursor belongs to another list or other filters.",
        "Use the `next_cursor` of the same query, or start without a cursor.",
    ),
    "invalid_header": (
        "The header of the file does not fit the format.",
        "Name the columns that `detail` lists, or choose the right `preset`.",
    ),
    "invalid_horizon": ("The horizon is out of range.", "Send `horizon_days` from 1 to 60."),
    "invalid_hysteresis": (
        "The hysteresis of an alert rule is out of range.",
        "Send `hysteresis` from 0 to less than the `threshold`.",
    ),
    "invalid_json": ("The body is not valid JSON.", "Correct the position that `detail` names."),
    "invalid_link": ("The link to a chart is incomplete or was made by another release.", "Create a new link."),
    "invalid_map": (
        "The mapping of columns does not fit the members.",
        "Send one `map` for each member, such as `map=symbol:Ticker`, and none with a `preset`.",
    ),
    "invalid_number": (
        "A number is not written in plain digits, or is too long.",
        "Use at most 12 digits before the decimal point and 9 after it.",
    ),
    "invalid_page": ("The list has no page of this number.", "Ask for a page from 1 to the last one."),
    "invalid_range": ("The first time is after the last.", "Send `from` before `to`."),
    "invalid_request": (
        "Parameters or members of the body are invalid.",
        "Correct the fields that `errors` lists.",
    ),
    "invalid_risk_free_rate": (
        "The risk-free rate is out of range.",
        "Send a share per year between -1 and 1: 0.03 is 3 %.",
    ),
    "invalid_rows": ("Rows of the file are invalid; nothing was recorded.", "Correct the rows that `errors` lists."),
    "invalid_threshold": (
        "The threshold of an alert rule is missing, not allowed or out of range.",
        "Send a `threshold` above 0 and at most 100 for the kinds that end in `_above`, and for no other kind.",
    ),
    "invalid_time": (
        "A time is not written as RFC 3339 asks, or does not exist.",
        "Send a time with an offset, such as `2026-01-31T09:30:00Z`.",
    ),
    "invalid_token": (
        "The token is invalid, has expired, or was issued for another system.",
        "Get a new token and send it as `Authorization: Bearer …`.",
    ),
    "invalid_window": (
        "The window of days is not possible.",
        "Send `from` and `to` with `window=custom` only, `from` first.",
    ),
    "key_reused": ("The idempotency key belongs to another order.", "Use a new key for each order."),
    "keys_unavailable": ("The keys of the token issuer cannot be read now.", _SAME_REQUEST),
    "locked": (
        "A rebalance, a recalculation or an import is changing the portfolio.",
        "Wait until it has ended; `Retry-After` is set where the end is known.",
    ),
    "market_closed": (
        "The market is closed; its orders are settled with it.",
        "Read the market: `GET /markets/{market_id}`.",
    ),
    "market_settled": (
        "The market was settled with another result, and a settlement is final.",
        "Read the settlement of the market.",
    ),
    "market_settling": (
        "The orders of the market are being settled by the present results.",
        "Send the correction once the status of the market is `SETTLED`.",
    ),
    "market_suspended": (
        "The market is suspended.",
        "Wait until the market reopens: `GET /markets/{market_id}`.",
    ),
    "method_not_allowed": (
        "The resource exists and has no such method.",
        "Use a method that the header `Allow` lists.",
    ),
    "missing_token": ("The request has no token.", "Send a token in the header `Authorization: Bearer <token>`."),
    "month_ahead": ("The month is not over yet.", "Request the report of a past month."),
    "name_taken": (
        "Another portfolio of the user has the name, or had the name before it was renamed.",
        "Choose another name, or change the other portfolio.",
    ),
    "no_answer": ("A backing service did not respond.", _SAME_REQUEST),
    "no_price": (
        "A position is stated without a cost, and its symbol has no accepted price, or none that gives a cost.",
        "Send the `cost`, or store a quote of the symbol first.",
    ),
    "no_price_of_that_time": (
        "The symbol has no price of the time in the request.",
        "Read the quote, and send the `as_of` of its price.",
    ),
    "no_route": ("The path is unknown.", "Compare the path with `GET /openapi.json`."),
    "no_rows": ("The file has a header but no rows.", "Send a file with at least one row."),
    "no_split": ("A split of equal numbers changes nothing.", "Send a `ratio` that differs from `per`."),
    "no_target": ("The portfolio has no target allocation.", "Set a target with `PUT …/allocation` first."),
    "not_100": ("The reported weights do not sum to 100.", "Send weights with a sum of exactly 100."),
    "not_for_end_users": (
        "The token acts for an end user. Prices, assets, halts, repairs and settlement are the platform's.",
        "Use the platform's token.",
    ),
    "not_found": (
        "The resource does not exist, or belongs to another tenant or user.",
        "Check the id, and whose token is used.",
    ),
    "not_held": (
        "The price to release is not the one that is held.",
        "Read the quote, and release the price that is held.",
    ),
    "not_settled": (
        "The order or the market has no settlement to correct.",
        "Settle the order or the market first.",
    ),
    "not_stale": ("Only a stale portfolio can be resolved.", "Read the portfolio; correct trades instead."),
    "not_of_kind": (
        "The trade has a value that its `kind` does not have, or lacks one.",
        "Send the values that `detail` names, or record the trade under another kind.",
    ),
    "nothing_to_correct": ("The correction names no member.", "Send at least one member to change."),
    "number_of_winners_missing": (
        "Several selections won, and the number of winners of the market is not known.",
        "Give `number_of_winners`: 1 for a dead heat, or the number of selections that win in full.",
    ),
    "odds_not_on_ladder": (
        "The odds are not on the odds ladder of the venue.",
        "Send the nearest odds, which `detail` names.",
    ),
    "other_currency": (
        "Rows of the file are in another currency than the portfolio.",
        "Import them into a portfolio of that currency.",
    ),
    "other_user": (
        "The token acts for another user.",
        "Send the `user_id` of the token, or use the platform's token.",
    ),
    "payout_disagrees": (
        "The payout is not the one that follows from the result.",
        "Leave `payout` out, or give an `override_reason`.",
    ),
    "quote_unit_fixed": (
        "The asset has prices in another unit.",
        "Enter the asset under another symbol.",
    ),
    "reduction_factor": (
        "The reduction factor is not possible, or the result has no winnings to reduce.",
        "Give 0 to below 100 percent, with a result that has winnings.",
    ),
    "ref_id_reused": (
        "The `ref_id` was recorded with other values.",
        "Send a new `ref_id` for a new entry; change an entry by a correction.",
    ),
    "request_id_reused": (
        "The request id or the `Idempotency-Key` was used with another body.",
        "Use a new id for each request.",
    ),
    "result_stated_twice": (
        "A selection has a result in two members of the body.",
        "Give each selection once.",
    ),
    "revision_mismatch": (
        "`If-Match` does not name the current revision.",
        "Read the resource again, and repeat the change with its ETag.",
    ),
    "several_trades": (
        "Several portfolios have a trade with the `ref_id`.",
        "Name the `portfolio` of the trade.",
    ),
    "split_contradicted": (
        "The prices before and after the day contradict the split.",
        "Check ratio and day.",
    ),
    "split_exists": ("The symbol has another split on the same day.", "Amend or withdraw that split."),
    "stake_too_large": ("The stake exceeds the limit of the platform.", "Place a smaller order."),
    "stake_too_small": ("The exposure of the order rounds to 0.00.", "Raise stake or odds."),
    "stale": (
        "Holdings or cash of the portfolio are uncertain.",
        "Wait until an operator has resolved the portfolio.",
    ),
    "stale_as_of": (
        "A report with a later `as_of` was applied already.",
        "Send the newest weights only.",
    ),
    "symbol_not_allowed": (
        "A deposit or a withdrawal has no symbol.",
        "Leave `symbol` out, or choose a type of income or cost.",
    ),
    "timeout": ("The response took longer than the gateway waits.", "Send the same request again, or ask for less."),
    "too_deep": ("The JSON is nested too deeply.", "Send the body as the route describes it."),
    "too_late": ("The rebalance has ended or is being reversed.", "Read the rebalance."),
    "too_many_adjustments": (
        "A resolution adjusts too many holdings at once.",
        "Resolve the largest differences, and record the rest as trades.",
    ),
    "too_many_connections": (
        "The tenant has the largest number of WebSocket connections. The handshake is refused with 429.",
        "Close connections, or share one among the users of a server.",
    ),
    "too_many_corrections": (
        "The entry has reached the limit of corrections.",
        "Make the entry void or failed, and record a new one.",
    ),
    "too_many_days": ("The window has too many daily values.", "Choose a shorter window."),
    "too_many_decimals": (
        "A number has more decimals than the field takes.",
        "Round the number; input is not rounded.",
    ),
    "too_many_entries": (
        "The portfolio has too many entries in the period to be read.",
        "Choose a shorter period, or spread the entries over portfolios.",
    ),
    "too_many_holdings": (
        "The portfolio holds the largest number of symbols.",
        "Use a further portfolio.",
    ),
    "too_many_items": (
        "A list without cursors would be too long.",
        "Use a filter, or read Trimtab's own list, which has cursors.",
    ),
    "too_many_portfolios": (
        "The user has more than 100 portfolios.",
        "Read the list of each portfolio: `GET /portfolios/{portfolio_id}/transactions`.",
    ),
    "too_many_requests": ("The limit of requests is reached.", _SAME_REQUEST),
    "too_many_resettlements": (
        "The order or the market was corrected the most times.",
        "Ask the operator of the platform.",
    ),
    "too_many_rows": ("The file has too many rows.", "Split the file."),
    "too_many_selections": (
        "The user has orders on the largest number of selections of a market.",
        "Place orders on the same selections, or in another market.",
    ),
    "too_many_splits": ("The symbol has the largest number of splits.", "Withdraw a wrong split first."),
    "too_many_subscriptions": (
        "The WebSocket connection has the largest number of subscriptions.",
        "Open another connection, or subscribe to a user instead of each portfolio.",
    ),
    "too_many_webhooks": ("The tenant has the largest number of webhooks.", "Delete a webhook first."),
    "too_many_winners": (
        "More selections won than the market has winners.",
        "Give the selections that share a place in `results`, each as `dead_heat` with its `factor`.",
    ),
    "two_request_ids": (
        "The header `Idempotency-Key` and `request_id` differ.",
        "Give one of the two.",
    ),
    "unknown_portfolio": (
        "The user has no portfolio of this name.",
        "Create the portfolio, or correct `user_id` and `name`.",
    ),
    "unsupported_media_type": (
        "The route does not take this media type.",
        "Send the media type that `detail` names in the header `Content-Type`.",
    ),
    "void_overridden": (
        "A void order returns its exposure, and nothing else.",
        "Leave `payout` out, or settle the order with another result.",
    ),
    "webhook_disabled": (
        "The webhook is disabled, so that nothing is sent to it.",
        "Enable the webhook with `PATCH …/webhooks/{webhook_id}` first.",
    ),
    "which_orders": ("The list needs a user or a market.", "Give `user_id`, `market_id` or both."),
}
"""Meaning and remedy by problem type."""
