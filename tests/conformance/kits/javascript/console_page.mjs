// How do the programs that use the console in Chromium open it, go from view to view, and find barriers?
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

export const { CHROMIUM, CONSOLE, APP, SCREENSHOTS, WITHOUT_ROLES } = process.env;
export const VIEWS = { turns: "Turns", fleet: "Fleet", investment: "Investment", starts: "Starts", money: "Money", chat: "Try it" };
export const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });
export const said = []; // what the browser wrote to its console
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE_MS = 240_000; // a guard against hanging: a busy machine may need seconds for what is usually a moment
const MOST_PRESSES = 300;

export async function opened(options = {}) {
  const page = await (await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options })).newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  return page;
}

export async function signedIn(options = {}, address = CONSOLE) {
  const page = await opened(options);
  await page.goto(address);
  await page.getByRole("navigation", { name: "Views" }).waitFor();
  return page;
}

export async function show(page, name, heading) {
  await page.evaluate((view) => { location.hash = `#/${view}`; }, name);
  await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
  await page.waitForFunction(() => !document.querySelector("main [aria-busy=true]"));
}

export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => (await window.axe.run()).violations);
  return found.map((each) => `${each.id}: ${each.nodes[0].html}`);
}

export async function picture(page, name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true });
}

/** Press Tab until a control has the focus. */
export async function reach(page, control) {
  await control.waitFor();
  for (let presses = 0; presses < MOST_PRESSES; presses++) {
    if (await control.evaluate((node) => node === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`the keyboard does not reach ${control}`);
}

/** Use a control by the keyboard alone. */
export async function press(page, control, key = "Enter") {
  await reach(page, control);
  await page.keyboard.press(key);
}
