// A client that knows the API from its OpenAPI document alone: create, trade, rebalance, page, handle a problem.
import createClient from "openapi-fetch";
import type { components, paths } from "./trimtab.d.ts";

type Problem = components["schemas"]["Problem"];

const [baseUrl, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });

function expect(seen: unknown, wanted: unknown): void {
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
  }
}

function dataOf<T>(answer: { data?: T; error?: Problem }): T {
  if (answer.data === undefined) throw new Error(`${answer.error?.type}: ${answer.error?.detail}`);
  return answer.data;
}

const portfolio = dataOf(
  await client.POST("/portfolios", {
    body: {
      user_id: "1",
      name: "default",
      currency: "USD",
      allocation: { stocks: 60, bonds: "30", gold: 10 },
      cash: "1000.00",
      policy: {},
    },
  }),
);
expect(portfolio.allocation, { stocks: "60.0000", bonds: "30.0000", gold: "10.0000" });
const path = { portfolio_id: portfolio.portfolio_id };

for (const ref_id of ["t0", "t1", "t2"]) {
  const trade = dataOf(
    await client.POST("/portfolios/{portfolio_id}/trades", {
      params: { path },
      body: {
        ref_id,
        kind: "trade",
        side: "BUY",
        security_type: "stock",
        symbol: "AAPL",
        quantity: "1",
        amount: "10.00",
        fees: 0,
        status: "success",
      },
    }),
  );
  if ("amount" in trade) expect([trade.side, trade.amount], ["BUY", "10.00"]);
}

const accepted = dataOf(
  await client.POST("/rebalance", {
    body: { user_id: "1", name: "default", new_allocation: { stocks: 70, bonds: 20, gold: 10 }, request_id: "drift" },
  }),
);
const rebalance = dataOf(
  await client.GET("/portfolios/{portfolio_id}/rebalances/{rebalance_id}", {
    params: { path: { ...path, rebalance_id: accepted.rebalance_id } },
  }),
);
const changes = rebalance.transactions.map((each) => `${each.action} ${each.asset} ${each.rebalance_percent}`);
expect(changes.sort(), ["BUY bonds 10.0000", "SELL stocks 10.0000"]);

const seen: string[] = [];
let cursor: string | null | undefined = undefined;
do {
  const query: { limit: number; cursor?: string } = cursor ? { limit: 2, cursor } : { limit: 2 };
  const page: components["schemas"]["TradeList"] = dataOf(
    await client.GET("/portfolios/{portfolio_id}/trades", { params: { path, query } }),
  );
  seen.push(...page.items.map((each) => each.ref_id));
  cursor = page.next_cursor;
} while (cursor);
expect(seen.sort(), ["t0", "t1", "t2"]);

const { error } = await client.POST("/portfolios", {
  body: { user_id: "2", name: "default", currency: "USD", allocation: { stocks: 60 }, policy: {} },
});
expect(error?.type satisfies Problem["type"] | undefined, "urn:trimtab:problem:invalid_request");
expect(error?.errors?.map((each) => each.field), ["allocation"]);
console.log("done");
