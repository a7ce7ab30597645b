// Has no view a barrier before anything has happened, and does Money show a month with its budget, forecast and alarm?
import assert from "node:assert/strict";
import { APP, browser, CONSOLE, opened, picture, said, show, signedIn, VIEWS, violations, WITHOUT_ROLES } from "./console_page.mjs";
import { tell } from "./telling.mjs";

const THEMES = ["light", "dark"];
const SIZES = THEMES.flatMap((colorScheme) => [1200, 390].map((width) => ({ colorScheme, viewport: { width, height: 900 } })));
const checks = {};

async function judged(page, name) {
  assert.deepEqual(await violations(page), [], name);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${name} is too wide`);
}

const EMPTY = {
  turns: "No turn yet. Ask something under Try it.",
  fleet: "No GPU was started in the last day.",
  investment: "No session in the last day.",
  starts: "No start was measured in the last day.",
  money: "Nothing was used in the last days.",
  chat: /A question goes to the backend/,
};

for (const size of SIZES)
  checks[`no empty view has a barrier, ${size.colorScheme}, ${size.viewport.width} pixels wide`] = async () => {
    const page = await signedIn(size);
    for (const [name, heading] of Object.entries(VIEWS)) {
      await show(page, name, heading);
      await page.getByText(EMPTY[name]).waitFor();
      await picture(page, `empty-${name}-${size.colorScheme}-${size.viewport.width}`);
      await judged(page, name);
    }
    await page.goto(`${APP}/console`); // the address without a token: another page, and signed out
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await judged(page, "sign-in");
  };

for (const colorScheme of THEMES)
  checks[`a fleet in which no GPU sleeps says so in every view, ${colorScheme}`] = async () => {
    const page = await signedIn({ colorScheme });
    await page.route("**/v1/fleet", async (route) => {
      const answer = await route.fetch();
      const fleet = await answer.json();
      await route.fulfill({ response: answer, json: { ...fleet, data: fleet.data.filter((each) => !each.start) } });
    });
    await show(page, "fleet", "Fleet");
    await page.getByText("none sleeps").waitFor();
    await judged(page, "fleet");
    await show(page, "investment", "Investment");
    await page.getByText(/there is no session to buy/).waitFor();
    await judged(page, "investment");
    await show(page, "starts", "Starts");
    await page.getByText(/none has to start/).waitFor();
    await judged(page, "starts");
  };

for (const colorScheme of THEMES)
  checks[`a person without a role is told which one and who grants it, ${colorScheme}`] = async () => {
    const page = await signedIn({ colorScheme }, `${APP}/console#${new URLSearchParams({ token: WITHOUT_ROLES })}`);
    for (const name of ["fleet", "investment", "starts"]) {
      await show(page, name, VIEWS[name]);
      const alert = page.getByRole("alert").first();
      await alert.getByText(/Operations\.Read/).waitFor();
      await alert.getByText(/An administrator of your tenant grants the role/).waitFor();
      await judged(page, name);
    }
    await show(page, "money", "Money");
    await page.getByText(/Your own usage; with the role Usage.Read/).waitFor();
    await judged(page, "money");
    await show(page, "turn/resp_unknown", "Turn");
    await page.getByRole("alert").waitFor();
    await judged(page, "turn");
  };

checks["ages count from the server's time where the browser's clock is ten minutes off"] = async () => {
  const page = await opened();
  await page.clock.setFixedTime(Date.now() + 600_000);
  await page.route("**/v1/fleet", async (route) => {
    const answer = await route.fetch();
    const fleet = await answer.json();
    const failed = { at: fleet.at - 30, again_at: fleet.at, reason: "quota", grant: null };
    await route.fulfill({ response: answer, json: { ...fleet, data: fleet.data.map((each) => (each.start ? { ...each, start: { ...each.start, failed_warm_up: failed } } : each)) } });
  });
  await page.goto(CONSOLE);
  await show(page, "fleet", "Fleet");
  await page.getByText(/A warm-up failed \d+\.\d s ago: quota/).waitFor(); // not 10 minutes
};

checks["a hidden tab asks for nothing, and a tab that is seen again goes on"] = async () => {
  const page = await opened();
  await page.clock.install();
  const asked = [];
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(CONSOLE);
  await show(page, "fleet", "Fleet");
  const hide = (hidden) => page.evaluate((value) => Object.defineProperty(document, "hidden", { value, configurable: true }), hidden);
  await hide(true);
  const before = asked.length;
  await page.clock.runFor(600_000);
  assert.equal(asked.length, before);
  await hide(false);
  const again = page.waitForRequest("**/v1/fleet");
  await page.clock.runFor(20_000);
  await again;
};

const DAYS = 18;
const SPENT = { idle: "0.610000000", start: "0.140000000", running: "0.330000000", tokens: "0.120000000", functions: "0.030000000" };
const MONTH = "2026-06";
const dayOf = (index) => `${MONTH}-${String(index + 1).padStart(2, "0")}`;

/** Answer as the app would in the middle of a month: other amounts in its own answers. */
async function inAMonth(page, limit) {
  await page.route("**/v1/budgets", async (route) => {
    const answer = await route.fetch();
    const budgets = await answer.json();
    const money = { tenant_month: { spent_usd: "22.140000000", limit_usd: limit, left_usd: "37.360000000", held_usd: "0.500000000", projected_usd: "38.200000000", projected_low_usd: "33.100000000", projected_high_usd: "45.900000000" },
      tenant_day: { spent_usd: "1.230000000", limit_usd: "4.000000000", left_usd: "2.770000000", forecast_usd: "1.100000000", forecast_source: "learned", forecast_percent_reached: 100, projected_usd: "1.900000000", projected_low_usd: "1.500000000", projected_high_usd: "2.400000000" } };
    const data = budgets.data.map((each) => ({ ...each, period: each.period.length === 7 ? MONTH : dayOf(DAYS - 1), ...money[each.id] }));
    await route.fulfill({ response: answer, json: { ...budgets, data } });
  });
  await page.route("**/v1/usage?*", async (route) => {
    const by = new URL(route.request().url()).searchParams.get("group_by");
    const answer = await route.fetch();
    const usage = await answer.json();
    const days = Array.from({ length: DAYS }, (_, index) => dayOf(index)).reverse();
    const whole = Object.values(SPENT).reduce((sum, each) => sum + Number(each), 0).toFixed(9);
    const counts = { attempts: 40, input_tokens: 90_000, cached_tokens: 30_000, output_tokens: 20_000, backends_usd: whole, store_usd: "0", functions_usd: "0.030000000", provisional_usd: "0" };
    const data = by === "day"
      ? days.map((day, index) => ({ id: day, object: "usage", day, ...counts, cost_usd: whole, provisional_usd: index ? "0" : "0.740000000" }))
      : days.flatMap((day) => Object.entries(SPENT).map(([cause, cost_usd]) => ({ id: `${day}/${cause}`, object: "usage", day, cause, cost_usd })));
    await route.fulfill({ response: answer, json: { ...usage, scope: "tenant", data, has_more: false } });
  });
}

for (const size of SIZES)
  checks[`a month is shown against its budget, its forecast and 150 % of it, ${size.colorScheme}, ${size.viewport.width} pixels wide`] = async () => {
    const page = await signedIn(size);
    await inAMonth(page, "60.000000000");
    await show(page, "money", "Money");
    await page.getByRole("img", { name: /^Spend of 2026-06, added up: \$22\.14 after day 18; forecast \$33\.00, 150 % of it \$49\.50, projected \$33\.10 to \$45\.90, budget \$60\.00$/ }).waitFor();
    for (const mark of [".line-forecast", ".line-alarm", ".line-limit", ".line-spent", ".band"]) assert.equal(await page.locator(`svg[aria-label^="Spend of 2026-06"] ${mark}`).count(), 1, mark);
    await page.getByText("100 % reached").waitFor();
    await page.getByText(/^The cheapest way for these requests:/).waitFor(); // what an operator has published
    await page.getByRole("img", { name: /^Break-even at \d+ requests an hour/ }).waitFor();
    await page.getByRole("img", { name: /^Owning (pays in month \d+|never pays)/ }).waitFor();
    await page.getByRole("table", { name: /^Mixes of GPU types/ }).waitFor();
    assert.equal(await page.locator('.plot rect[fill="url(#hatching)"]').count(), 1);
    await picture(page, `month-${size.colorScheme}-${size.viewport.width}`);
    await judged(page, "money");
  };

checks["the browser has nothing to complain about"] = () => {
  const expected = /status of 40[34]/; // a role that is missing, a turn that is not there
  assert.deepEqual(said.filter((text) => !expected.test(text)), []);
};

await tell({ "Chromium and axe-core": checks }, () => browser.close());
