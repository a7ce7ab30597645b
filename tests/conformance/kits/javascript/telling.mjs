// Which checks does a kit pass? One line of JSON for each.
import assert from "node:assert/strict";

export const baseURL = process.env.OPENAI_BASE_URL;
export const apiKey = process.env.OPENAI_API_KEY;
export const model = process.env.MODEL;
const wanted = process.env.CHECKS?.split(",");
export const exact = model !== "auto";

export const shop = { type: "mcp", server_label: "shop", require_approval: "never" };
export const shopping =
  'PLAN [[["shop__find_order", {"number": "A-1001"}], ["shop__refund_order", {"number": "A-1001", "amount": 5}]]] ' +
  "THEN refunded";
export const noting = 'PLAN [[["shop__send_note", {"number": "A-1001", "text": "hello"}]]] THEN noted';
export const lost = 'PLAN [[["shop__find_order", {"number": "Z-9"}]]] THEN sorry';
export const search = { type: "file_search", vector_store_ids: ["documents"] };
export const searching = 'PLAN [[["file_search__search", {"query": "warranty of the telescope"}]]] THEN 36 months';
export const asking = { ...shop, require_approval: "always" };

// Returns how many notes the shop has sent.
export async function notes() {
  const { effects } = await (await fetch(`${process.env.SHOP_URL}/__effects`)).json();
  return effects.filter((effect) => effect.kind === "note").length;
}

// Lets the connection of the next note break after its effect: nobody knows whether it was sent.
export async function breakNextNote() {
  const body = JSON.stringify({ path: "/v1/notes", fault: { reset: true, times: 1 } });
  assert.ok((await fetch(`${process.env.SHOP_URL}/__faults`, { method: "PUT", body })).ok);
}

export const counted = (number) => Array.from({ length: number }, (_, index) => index + 1).join(" ");

// What a real model says is its own affair, as long as it says something.
export function says(text, expected) {
  if (exact) assert.equal(text, expected);
  else assert.ok(text.length > 0, "no text came");
}

export function holds(value, expected) {
  if (exact) assert.deepEqual(value, expected);
  else assert.deepEqual(Object.keys(value), Object.keys(expected));
}

export async function tell(kits, leave = () => {}) {
  for (const [kit, checks] of Object.entries(kits))
    for (const [check, run] of Object.entries(checks)) {
      if (wanted && !wanted.includes(check)) continue;
      const problem = await Promise.resolve().then(run).then(() => null, (error) => `${error?.stack ?? error}`);
      console.log(JSON.stringify({ kit, check, problem }));
    }
  await leave();
  process.exit(0);
}
