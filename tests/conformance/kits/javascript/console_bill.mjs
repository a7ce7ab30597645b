// One turn from the question to its final bill in Chromium: a GPU starts, its worker dies, the machine stops, the bill says why.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { tell } from "./telling.mjs";

const { CHROMIUM, CONSOLE, APP } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
const PATIENCE_MS = 240_000; // a guard against hanging
const PAUSE_MS = 1000;
const page = await (await browser.newContext({ viewport: { width: 1200, height: 900 } })).newPage();
page.setDefaultTimeout(PATIENCE_MS);
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
  await page.getByRole("button", { name: "Kill the worker (kill -9)" }).click();
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
};

/** On a busy machine the ten seconds of the session may have passed: then another question opens one. */
async function turnWithOpenSession() {
  for (;;) {
    const latest = turns.at(-1);
    const { bill } = await read(`/v1/responses/${latest}/route`);
    if (bill.status === "provisional") {
      await view("turns");
      await view(`turn/${latest}`);
      const heading = page.getByRole("heading", { name: /^Bill: .* (provisional|final)$/ });
      await heading.waitFor();
      if ((await heading.innerText()).endsWith("provisional")) return bill.sessions[0];
    }
    const answer = await fetch(`${APP}/v1/responses`, {
      method: "POST",
      headers: { authorization: token, "content-type": "application/json" },
      body: JSON.stringify({ model: "scripted@scripted-gpu", input: "COUNT 3" }),
    });
    turns.push((await answer.json()).id);
  }
}

checks["while the machine is up, each line of the bill has three amounts and the time at which it is final"] = async () => {
  const session = await turnWithOpenSession();
  const table = page.getByRole("table", { name: "What is provisional" });
  for (const line of [...session.lines, session]) await table.getByRole("cell", { name: exactly(line.charged_usd), exact: true }).first().waitFor();
  await page.getByText("Final after", { exact: true }).waitFor();
};

checks["after scale-in the bill is final, equals the ledger, and explains the difference"] = async () => {
  let bills;
  for (const began = Date.now(); Date.now() - began < PATIENCE_MS; ) {
    await fetch(`${APP}/admin/functions/sweeper?wait=true`, { method: "POST" });
    bills = await Promise.all(turns.map(async (each) => (await read(`/v1/responses/${each}/route`)).bill));
    if (bills.every((bill) => bill.status === "final")) break;
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
  assert.deepEqual(bills.map((bill) => bill.status), bills.map(() => "final"));
  await view("turns");
  await view(`turn/${turns[0]}`);
  await page.getByRole("heading", { name: /^Bill: .* final/ }).waitFor();
  const card = page.locator("section", { has: page.getByRole("heading", { name: /^Bill/ }) });
  const [settled] = bills[0].settled_sessions;
  for (const amount of ["provisional_usd", "final_usd", "difference_usd"]) await card.getByText(exactly(settled[amount]), { exact: true }).first().waitFor();
  await card.getByText(settled.reason).waitFor();
  const ledger = (await read("/v1/fleet")).data.find((each) => each.id === "scripted-gpu").sessions;
  const nanos = (amounts) => amounts.reduce((sum, each) => sum + Math.round(Number(each) * 1e9), 0);
  assert.equal(nanos(bills.flatMap((bill) => bill.settled_sessions.map((each) => each.final_usd))), nanos(ledger.map((each) => each.cost_usd)));
  await view("investment");
  await page.getByRole("table", { name: /Sessions of the last day/ }).getByText("no turn in it had an alternative").first().waitFor();
};

await tell({ "Chromium, one bill": checks }, () => browser.close());
