// Can a person use every control of every view without a mouse? This program clicks nothing: it presses keys.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { APP, browser, CONSOLE, opened, press, reach, said, signedIn, VIEWS, WITHOUT_ROLES } from "./console_page.mjs";
import { tell } from "./telling.mjs";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const NARROW = { viewport: { width: 390, height: 900 } };
const checks = {};

async function go(page, name) {
  await press(page, page.getByRole("navigation", { name: "Views" }).getByRole("link", { name: VIEWS[name], exact: true }));
  await page.getByRole("heading", { level: 1, name: VIEWS[name], exact: true }).waitFor();
}

const focused = (page, name) => page.waitForFunction((text) => document.activeElement.innerText === text, name);

/** Choose an option of a list by the arrow keys. */
async function choose(page, list, value) {
  await reach(page, list);
  const [index, wanted] = await list.evaluate((node, text) => [node.selectedIndex, [...node.options].findIndex((each) => each.value === text)], value);
  assert.ok(wanted >= 0, value);
  for (let step = 0; step < Math.abs(wanted - index); step++) await page.keyboard.press(wanted > index ? "ArrowDown" : "ArrowUp");
  assert.equal(await list.inputValue(), value);
}

/** A table that is wider than the screen is moved by the arrow keys. */
async function scroll(page, table) {
  await reach(page, table);
  assert.ok(await table.evaluate((node) => node.scrollWidth > node.clientWidth), "the table is not wider than the screen");
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction(() => document.activeElement.scrollLeft > 0);
}

async function ask(page, text, model = "scripted") {
  await go(page, "chat");
  await page.locator(`option[value="${model}"]`).waitFor({ state: "attached" });
  await choose(page, page.getByLabel("Model"), model);
  await reach(page, page.getByLabel("Message"));
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
}

checks["sign in with a token, skip to the content, sign out, and sign in with a code"] = async () => {
  const page = await opened();
  await page.goto(`${APP}/console`);
  await press(page, page.getByText("Use an access token instead"));
  await reach(page, page.getByLabel("Access token"));
  await page.keyboard.type(WITHOUT_ROLES);
  await press(page, page.getByRole("button", { name: "Use this token" }));
  await page.getByRole("heading", { level: 1, name: "Turns" }).waitFor();
  await press(page, page.getByRole("link", { name: "Skip to the content" }));
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await press(page, page.getByRole("button", { name: "Sign out" }));
  await press(page, page.getByRole("button", { name: "Sign in with Microsoft Entra" }));
  await press(page, page.getByRole("link", { name: "contoso/alice" }));
  await page.getByRole("heading", { level: 1, name: "Turns" }).waitFor();
};

checks["Fleet: look at the cost of a start, leave the GPU asleep, then start it"] = async () => {
  const page = await signedIn(NARROW);
  await go(page, "fleet");
  await press(page, page.getByRole("button", { name: "Warm up" }));
  await page.getByText(/costs you \$0\.\d+ at most/).waitFor();
  await focused(page, "Leave it asleep");
  await page.keyboard.press("Enter");
  await focused(page, "Warm up");
  await page.keyboard.press("Space");
  await focused(page, "Leave it asleep");
  await page.keyboard.press("Shift+Tab");
  await focused(page, "Start scripted-gpu");
  await page.keyboard.press("Enter");
  const card = page.locator("section", { has: page.getByRole("heading", { name: /^scripted-gpu/ }) });
  await card.getByText("warm", { exact: true }).waitFor();
  await scroll(page, page.getByRole("region", { name: "What each backend does now" }));
  await card.getByText(/^warm_.*, a warm-up without a turn$/).waitFor();
};

checks["Investment: from Fleet, choose a backend, open the amounts of the plot"] = async () => {
  const page = await signedIn(NARROW);
  const second = (fleet) => ({ ...fleet, data: fleet.data.flatMap((each) => (each.start ? [each, { ...each, id: "second-gpu" }] : [each])) });
  const changed = (change) => async (route) => {
    const answer = await route.fetch({ url: route.request().url().replace("second-gpu", "scripted-gpu") });
    await route.fulfill({ response: answer, json: change(await answer.json()) });
  };
  await page.route("**/v1/fleet", changed(second));
  await page.route("**/v1/fleet/second-gpu/investment", changed((report) => ({ ...report, id: "second-gpu" })));
  await go(page, "fleet");
  await press(page, page.getByRole("link", { name: "Do its sessions pay?" }).first());
  await page.getByRole("heading", { level: 1, name: "Investment" }).waitFor();
  await choose(page, page.getByLabel("Backend"), "second-gpu");
  await page.getByRole("img", { name: /^Spent elsewhere on what second-gpu/ }).waitFor();
  assert.ok(page.url().endsWith("#/investment/second-gpu"), page.url());
  await press(page, page.getByText("The amounts of the plot"));
  await page.waitForFunction(() => document.querySelector("main details").open);
  await scroll(page, page.getByRole("region", { name: /^Sessions of the last day/ }));
};

checks["Try it: choose a model, ask, attach an image, stop, continue a conversation, begin another one"] = async () => {
  const page = await signedIn();
  await ask(page, "COUNT 12");
  await page.getByText("completed").waitFor();
  const chooser = page.waitForEvent("filechooser");
  await press(page, page.getByLabel("Image"));
  await (await chooser).setFiles({ name: "pixel.png", mimeType: "image/png", buffer: Buffer.from(PIXEL, "base64") });
  await reach(page, page.getByLabel("Message"));
  await page.keyboard.type("What is this?");
  await press(page, page.getByRole("button", { name: "Send" }), "Space");
  await page.getByText(/I see \[image\/png, \d+ bytes\]/).waitFor();
  await page.getByText("completed").nth(1).waitFor();
  await reach(page, page.getByLabel("Message"));
  await page.keyboard.type("COUNT 9000");
  await page.keyboard.press("Enter");
  await press(page, page.getByRole("button", { name: "Stop" }));
  await page.getByText("cancelled").waitFor();
  await press(page, page.getByRole("button", { name: "New conversation" }));
  assert.equal(await page.getByRole("article").count(), 0);
  const known = page.getByRole("combobox", { name: /^Conversation/ });
  await known.locator("option").nth(1).waitFor({ state: "attached" });
  await choose(page, known, await known.locator("option").nth(1).getAttribute("value"));
  await page.getByRole("log").getByText("COUNT 12", { exact: true }).waitFor();
};

checks["Turn and Crash: kill the worker, close the steps, scroll a table, open the address of the crash"] = async () => {
  const page = await signedIn(NARROW);
  await ask(page, "FAIL stall x1 @20 COUNT 300");
  await page.getByText(/1 2 3 4 5/).waitFor();
  await press(page, page.getByRole("link", { name: "route, timeline and bill" }));
  await page.getByText(/Event \d+ has arrived/).waitFor();
  await press(page, page.getByRole("button", { name: "Kill the worker (kill -9)" }));
  await page.waitForFunction(() => document.querySelector(".answer").innerText.endsWith(" 299 300"));
  await press(page, page.getByText("Every step"));
  await page.waitForFunction(() => !document.querySelector("main details").open);
  await scroll(page, page.getByRole("region", { name: "Attempts" }));
  await press(page, page.getByRole("link", { name: "The address of this crash" }));
  await page.waitForFunction(() => document.activeElement.id === "crash");
  await press(page, page.getByRole("link", { name: "All turns" }));
  await page.getByRole("heading", { level: 1, name: "Turns" }).waitFor();
};

checks["Turns: choose whose, read older ones, scroll, and open one"] = async () => {
  const page = await signedIn(NARROW);
  await page.route("**/v1/turns?*", (route) => route.continue({ url: route.request().url().replace("limit=50", "limit=2") }));
  await go(page, "turns");
  await choose(page, page.getByLabel("Whose"), "tenant");
  const turns = page.getByRole("link", { name: /^resp_/ });
  await turns.nth(1).waitFor();
  await press(page, page.getByRole("button", { name: "Older turns" }));
  await turns.nth(2).waitFor();
  await scroll(page, page.getByRole("region", { name: "Turns, newest first" }));
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("table", { name: "Attempts" }).waitFor();
};

checks["Money: group the usage, save it twice, scroll"] = async () => {
  const page = await signedIn(NARROW);
  await go(page, "money");
  await choose(page, page.getByRole("combobox", { name: /^By/ }), "backend");
  await page.getByRole("table", { name: "Usage" }).getByText("Backend", { exact: true }).waitFor();
  for (const [format, key, head] of [["CSV", "Enter", "backend"], ["FOCUS", "Space", "BilledCost"]]) {
    const saved = page.waitForEvent("download");
    await press(page, page.getByRole("button", { name: `Save as ${format}` }), key);
    const text = await readFile(await (await saved).path(), "utf8");
    assert.ok(text.startsWith(head), text.slice(0, 100));
  }
  await scroll(page, page.getByRole("region", { name: "Usage" }));
  await scroll(page, page.getByRole("region", { name: "Budgets that count you" }));
};

checks["Starts: scroll the starts; a page that has stopped reads again"] = async () => {
  const page = await opened(NARROW);
  await page.clock.install();
  await page.goto(CONSOLE);
  await go(page, "starts");
  await scroll(page, page.getByRole("region", { name: "Starts of the last day" }));
  await page.clock.runFor(3_700_000);
  await page.getByText(/This page has stopped reading/).waitFor();
  await press(page, page.getByRole("button", { name: "Read again" }));
  await page.getByText(/This page has stopped reading/).waitFor({ state: "detached" });
};

checks["the browser has nothing to complain about"] = () => {
  const expected = /status of 50[23]|net::ERR_/; // the death of the worker
  assert.deepEqual(said.filter((text) => !expected.test(text)), []);
};

await tell({ "Chromium, keys alone": checks }, () => browser.close());
