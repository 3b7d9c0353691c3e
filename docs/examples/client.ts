// A client in TypeScript: create a portfolio, trade, follow a rebalance, read pages, handle a problem.
// Run `node client.ts BASE_URL TOKEN`; openapi-typescript generates `trimtab.d.ts`, Node 22.18 or newer runs TypeScript.
import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./trimtab.d.ts";

type Problem = components["schemas"]["Problem"];
type Trades = components["schemas"]["TradeList"];

const PENDING = ["REQUESTED", "PLANNED", "EXECUTING", "COMPENSATING"];
const ATTEMPTS = 120;
const [baseUrl, token] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
/** Return the data of a response, repeated after `Retry-After` seconds while the service is busy. */
async function call<T>(send: () => Promise<{ data?: T; error?: Problem; response: Response }>): Promise<T> {
  let answer = await send();
  for (let attempt = 1; attempt < ATTEMPTS && [429, 503].includes(answer.response.status); attempt++) {
    await sleep(1000 * Number(answer.response.headers.get("Retry-After") ?? 1));
    answer = await send();
  }
  if (answer.data === undefined) throw new Error(`${answer.error?.type}: ${answer.error?.detail}`);
  return answer.data;
}

const allocation = { stocks: 60, bonds: 30, gold: 10 };
const target = { user_id: "ada", name: "default", currency: "USD", allocation, cash: "1000.00", policy: {} };
const portfolio = await call(() => client.POST("/portfolios", { body: target }));
console.log("target", ...Object.entries(portfolio.allocation ?? {}).map(([asset, weight]) => `${asset}=${weight}`));
const path = { portfolio_id: portfolio.portfolio_id };
for (const ref_id of ["t0", "t1", "t2"]) { // a repeated `ref_id` has no further effect
  const trade = { ref_id, kind: "trade", side: "BUY", security_type: "stock", status: "success" } as const;
  const body = { ...trade, symbol: "AAPL", quantity: "1", amount: "10.00", fees: 0 };
  await call(() => client.POST("/portfolios/{portfolio_id}/trades", { params: { path }, body }));
}

const report = { user_id: "ada", name: "default", new_allocation: { stocks: 70, bonds: 20, gold: 10 } };
const accepted = await call(() => client.POST("/rebalance", { body: { ...report, request_id: "drift-1" } }));
const params = { path: { ...path, rebalance_id: accepted.rebalance_id } };
const read = () => call(() => client.GET("/portfolios/{portfolio_id}/rebalances/{rebalance_id}", { params }));
let rebalance = await read();
for (let attempt = 1; attempt < ATTEMPTS && PENDING.includes(rebalance.status); attempt++, rebalance = await read())
  await sleep(1000);
for (const change of rebalance.transactions.toSorted((a, b) => a.asset.localeCompare(b.asset)))
  console.log(rebalance.status, change.action, change.asset, change.rebalance_percent);

const trades: string[] = [];
let cursor: string | null | undefined = undefined;
do {
  const query: { limit: number; cursor?: string } = cursor ? { limit: 2, cursor } : { limit: 2 };
  const page: Trades = await call(() => client.GET("/portfolios/{portfolio_id}/trades", { params: { path, query } }));
  trades.push(...page.items.map((each) => `${each.side} ${each.symbol} ${each.amount}`));
  cursor = page.next_cursor;
} while (cursor);
console.log("trades", ...trades);

// Decide by the `type` of a problem, and show its `detail` to people.
const incomplete = { ...target, name: "other", allocation: { stocks: 60 } };
const { error } = await client.POST("/portfolios", { body: incomplete });
console.log(error?.type, ...(error?.errors ?? []).map((each) => each.field));
