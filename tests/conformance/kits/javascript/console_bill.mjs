// One turn from the question to its final bill in Chromium: a GPU starts, its worker dies, the machine stops, the bill says why.
import assert from "node:assert/strict";
import { APP, browser, CONSOLE, opened, picture, press } from "./console_page.mjs";
import { tell } from "./telling.mjs";

const PATIENCE_MS = 240_000; // a guard against hanging
const PAUSE_MS = 1000;
const page = await opened();
let token = "";
const turns = [];
page.on("request", (request) => { token ||= request.headers().authorization ?? ""; });

async function read(path) {
  const answer = await fetch(`${APP}${path}`, { headers: { authorization: token } });
  assert.equal(answer.status, 200, path);
  return answer.json();
}

async function view(name) {
  await page.evaluate((where) => { location.hash = `#/${where}`; }, name);
}

/** Ask again and again until something holds. */
async function until(holds) {
  const began = Date.now();
  while (!(await holds())) {
    if (Date.now() - began > PATIENCE_MS) throw new Error(`this does not hold: ${holds}`);
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

const exactly = (text) => `$${Number(text).toFixed(6)}`.replace("$-", "−$");
const checks = {};

checks["a question starts a sleeping GPU, and its turn is watched"] = async () => {
  await page.goto(CONSOLE);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  await view("chat");
  await page.locator('option[value="scripted@scripted-gpu"]').waitFor({ state: "attached" });
  await page.getByLabel("Model").selectOption("scripted@scripted-gpu");
  await page.getByLabel("Message").fill("FAIL stall x1 @20 COUNT 300"); // the first call writes 20 numbers and never ends
  await page.keyboard.press("Enter");
  await page.getByText(/1 2 3 4 5/).waitFor();
  turns.push((await page.getByRole("link", { name: "route, timeline and bill" }).getAttribute("href")).split("/").at(-1));
  await view(`turn/${turns[0]}`);
  await page.getByText(/Event \d+ has arrived/).waitFor();
  await page.getByRole("table", { name: "Steps" }).getByText(/^scripted-gpu: .*; sent$/).waitFor();
};

checks["its worker is killed from the page, and the break has the right numbers"] = async () => {
  await press(page, page.getByRole("button", { name: "Kill the worker (kill -9)" }));
  await page.waitForFunction(() => document.querySelector(".answer").innerText.endsWith(" 299 300"));
  await view(`crash/${turns[0]}`);
  const crash = page.locator("#crash");
  await crash.getByRole("heading", { name: "Crash" }).waitFor();
  const { runs, timeline } = await read(`/v1/responses/${turns[0]}/route`);
  const shown = await crash.innerText();
  const wrote = runs.filter((run) => run.first_event !== null);
  for (const [before, after] of wrote.slice(1).map((run, index) => [wrote[index], run])) assert.equal(after.first_event, before.last_event + 1);
  const taken = timeline.filter((step) => step.step === "taken over");
  assert.ok(taken.length > 0);
  for (const step of taken) {
    assert.match(shown, new RegExp(`Last event before\\s+${step.after_event ?? "none"}\\s`));
    assert.match(shown, new RegExp(`First event after\\s+${step.next[0] ?? "none yet"}\\s`));
  }
  await page.waitForFunction(() => document.activeElement.id === "crash");
  const went = page.locator(".answer .resumed"); // of a turn that has ended, from its stored events
  await went.waitFor();
  assert.ok((await page.locator(".answer").innerText()).endsWith(" 299 300"));
  assert.ok((await went.first().innerText()).length < (await page.locator(".answer").innerText()).length);
};

async function ask(model, input) {
  const answer = await fetch(`${APP}/v1/responses`, {
    method: "POST",
    headers: { authorization: token, "content-type": "application/json" },
    body: JSON.stringify({ model, input }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).id;
}

/** Open a turn, and return the account that the page shows from now on: it is not read again before `page.unroute`. */
async function openAccount(turn) {
  let first = null;
  await page.route(`**/v1/responses/${turn}/route`, async (route) => {
    first ??= route.fetch().then(async (response) => ({ response, json: await response.json() }));
    await route.fulfill(await first);
  });
  await view("turns");
  await page.getByRole("heading", { level: 1, name: "Turns" }).waitFor();
  await view(`turn/${turn}`);
  await page.getByRole("heading", { name: /^Bill: .* (provisional|final)$/ }).waitFor();
  return (await first).json;
}

/** On a busy machine the ten seconds of the session may have passed: then another question opens one. */
async function sessionOnThePage() {
  for (;;) {
    const { bill } = await openAccount(turns.at(-1));
    if (bill.sessions.length) return bill.sessions[0];
    await page.unrouteAll();
    turns.push(await ask("scripted@scripted-gpu", "COUNT 3"));
  }
}

checks["while the machine is up, each line of the bill has three amounts and the time at which it is final"] = async () => {
  const session = await sessionOnThePage();
  const table = page.getByRole("table", { name: "What is provisional" });
  for (const line of [...session.lines, session])
    for (const amount of ["charged_usd", "used_usd", "expected_usd"]) await table.getByRole("cell", { name: exactly(line[amount]), exact: true }).first().waitFor();
  await page.getByText("Final after", { exact: true }).waitFor();
  await page.unrouteAll();
};

checks["after scale-in the bill is final, equals the ledger, and explains the difference"] = async () => {
  let bills;
  await until(async () => {
    await fetch(`${APP}/admin/functions/sweeper?wait=true`, { method: "POST" });
    bills = await Promise.all(turns.map(async (each) => (await read(`/v1/responses/${each}/route`)).bill));
    return bills.every((bill) => bill.status === "final");
  });
  await view("turns");
  await view(`turn/${turns[0]}`);
  await page.getByRole("heading", { name: /^Bill: .* final/ }).waitFor();
  const card = page.locator("section", { has: page.getByRole("heading", { name: /^Bill/ }) });
  const [settled] = bills[0].settled_sessions;
  for (const amount of ["provisional_usd", "final_usd", "difference_usd"]) await card.getByText(exactly(settled[amount]), { exact: true }).first().waitFor();
  await card.getByText(settled.reason).waitFor();
  const nanos = (amounts) => amounts.reduce((sum, each) => sum + Math.round(Number(each) * 1e9), 0);
  const paid = nanos(bills.flatMap((bill) => bill.settled_sessions.map((each) => each.final_usd)));
  const cost = async () => nanos((await read("/v1/fleet")).data.find((each) => each.id === "scripted-gpu").sessions.map((each) => each.cost_usd));
  await until(async () => (await cost()) === paid); // what the fleet shows may be a second old
  await view("investment");
  await page.getByRole("table", { name: /Sessions of the last day/ }).getByText("no turn in it had an alternative").first().waitFor();
};

checks["a start that its turn waited for is followed from Starts, by keyboard"] = async () => {
  await view("starts");
  await page.getByRole("heading", { level: 1, name: "Starts" }).waitFor();
  await press(page, page.getByRole("table", { name: "Your last turns that started a GPU" }).getByRole("link").first());
  await page.getByRole("table", { name: "Attempts" }).waitFor();
};

checks["the moment in which answering elsewhere had cost as much as a session is seen, with the session that it bought"] = async () => {
  let report;
  await until(async () => {
    await ask("scripted", "COUNT 60");
    report = await read("/v1/fleet/scripted-gpu/investment");
    return report.sessions.some((each) => each.crossed_at);
  });
  await view("investment");
  await page.getByRole("heading", { level: 1, name: "Investment" }).waitFor();
  await page.getByRole("img", { name: /a session is bought at \$0\.\d+, reached [1-9]\d* times$/ }).waitFor();
  assert.ok((await page.locator(".plot .crossing").count()) > 0);
  await press(page, page.getByText("The amounts of the plot"));
  await page.getByRole("table", { name: /^Demand in parts of/ }).getByText("reached the price").first().waitFor();
  const sessions = page.getByRole("table", { name: /^Sessions of the last day against/ });
  const shown = await page.evaluate((at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" }), report.sessions.find((each) => each.crossed_at).crossed_at);
  await sessions.getByRole("cell", { name: shown, exact: true }).first().waitFor();
  await picture(page, "crossing-light-1200");
};

await tell({ "Chromium, one bill": checks }, () => browser.close());
