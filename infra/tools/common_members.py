"""Members that mean the same in every schema, each described once; a docstring in a class takes precedence."""

from collections.abc import Mapping

SAME_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "PolicyView": ("PolicyBody",),
    "BandView": ("BandBody",),
    "CalendarView": ("CalendarBody",),
    "AlertRuleView": ("AlertRuleBody",),
    "AssetView": ("EnterAsset",),
    "TradeView": ("RecordTrade",),
    "CorrectTrade": ("RecordTrade",),
    "RevisionView": ("TradeView",),
    "TradeData": ("TradeView",),
    "CashView": ("MoveCash",),
    "CorrectCash": ("MoveCash",),
    "CashRevisionView": ("CashView",),
    "CashData": ("CashView",),
    "RebalanceData": ("RebalanceView",),
    "PreviewRebalance": ("RequestRebalance",),
    "RebalanceRequested": ("RequestRebalance",),
    "SplitView": ("EnterSplit",),
    "SplitData": ("EnterSplit",),
    "OrderView": ("PlaceOrder",),
    "SelectionView": ("PlaceOrder",),
    "OrderData": ("OrderView",),
    "ResettledOrderData": ("OrderView",),
    "PositionData": ("SelectionView",),
    "InsightReceived": ("InsightView",),
    "MarketSettlementView": ("SettleMarket",),
    "ContactsView": ("ReplaceContacts",),
    "QuarantineData": ("QuarantineView",),
    "SectorsView": ("DriftsView",),
    "HistoryView": ("PerformanceView",),
    "RiskView": ("PerformanceView",),
}
"""Classes whose members mean what the members of the same name of another class mean."""

MEMBERS: Mapping[str, str] = {
    "portfolio_id": "The id of the portfolio: a UUID derived from tenant, user and name. "
    "Example: `265076e4-f1a0-5d1f-99a9-59a8b0e03f01`",
    "rebalance_id": "The id of the rebalance, a UUID. Example: `731eb848-c0f2-552f-b8d8-c216b7119182`",
    "user_id": "The id of the user in your system, 1 to 128 characters. Example: `auth0|17`",
    "tenant_id": "The id of the tenant, the client platform whose data these are. Example: `demo`",
    "name": "The name of the portfolio, unique for each user. Example: `default`",
    "currency": "The currency of all amounts, a code of ISO 4217. Example: `USD`",
    "symbol": "The symbol of the asset as its venue writes it, at most 32 characters. Example: `AAPL`",
    "items": "The items of this page, in the order of the list.",
    "next_cursor": "The value of the parameter `cursor` for the next page; null on the last page. "
    "Example: `WyJiZGYxMjMiLFsiMjAyNi0xMS0yMCJdXQ`",
    "links": "Addresses of related resources.",
    "created_at": "The time of creation (UTC). Example: `2026-11-20T15:30:00Z`",
    "updated_at": "The time of the newest change (UTC). Example: `2026-11-20T15:30:00Z`",
    "version": "The number of writes of the resource, from 1. Example: `4`",
    "revision": "The number of the revision, from 1. Example: `2`",
    "request_id": "The id of the request, unique within the portfolio: a request with the same id is the same request. "
    "Example: `drift-2026-11-21`",
    "webhook_id": "The id of the webhook, a UUID. Example: `0d9c4a53-2c5e-5d5c-8b55-1f2a3b4c5d6e`",
    "market_id": "The id of the betting market in your system. Example: `match-1:winner`",
    "selection_id": "The id of the selection, one possible winner of the market. Example: `home`",
    "unpriced": "Symbols that are held and have no price; they count as zero.",
    "method": "The name of the formula. Example: `half_of_the_sum_of_all_distances_from_target`",
    "basis": "The name of the data that the formula was applied to. Example: `end_of_day_utc_last_close`",
    "remedy": "What a person has to do, with the request to send. "
    "Example: `Read the halt at GET /halt, find its cause, and lift the halt with DELETE /halt.`",
    "details": "The numbers behind the reason by name; the names depend on the code.",
    "schema_version": "The version of the form of the message. Example: `1`",
}
"""Description of a member by name."""
