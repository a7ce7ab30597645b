// Can a person use the console in Chromium: sign in, ask, follow a turn through the death of its worker, see the money?
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { APP, browser, CONSOLE, opened, picture, said, show, signedIn, VIEWS, violations } from "./console_page.mjs";
import { tell } from "./telling.mjs";

const { WORKER } = process.env;
const checks = {};

checks["a console without a token explains how to sign in"] = async () => {
  const page = await opened();
  await page.goto(`${APP}/console`);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assert.deepEqual(await violations(page), []);
  await page.getByText("Use an access token instead").click();
  assert.deepEqual(await violations(page), []);
  await page.getByLabel("Access token").fill("no token");
  await page.getByRole("button", { name: "Use this token" }).click();
  await page.getByRole("alert").getByText(/does not accept this sign-in any more/).waitFor();
  await page.getByRole("button", { name: "Sign in with Microsoft Entra" }).waitFor();
};

checks["a person signs in with a code and PKCE, and comes back to the same place"] = async () => {
  const page = await opened();
  const asked = [];
  page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await page.goto(`${APP}/console#/money`);
  await page.getByRole("button", { name: "Sign in with Microsoft Entra" }).click();
  await page.getByRole("link", { name: "fabrikam/bob" }).click();
  await page.getByRole("heading", { level: 1, name: "Money", exact: true }).waitFor();
  assert.equal(page.url(), `${APP}/console#/money`);
  assert.equal(asked.filter((each) => each === "POST /organizations/oauth2/v2.0/token").length, 1);
  assert.equal(await page.evaluate(() => document.cookie + localStorage.length + sessionStorage.length), "00");
  assert.deepEqual(await page.context().cookies(), []);
};

checks["a sign-in that this tab has not begun is refused"] = async () => {
  const page = await opened();
  await page.goto(`${APP}/console#code=stolen&state=other`);
  await page.getByRole("alert").getByText(/not begun in this tab/).waitFor();
  assert.ok(!page.url().includes("stolen"), page.url());
};

checks["the challenge is that of RFC 7636, appendix B"] = async () => {
  const page = await opened();
  await page.goto(`${APP}/console`);
  const challenge = await page.evaluate(async () => {
    const main = document.querySelector("script[type=module]").src;
    const { challengeOf } = await import(main.replace("main.js", "entra.js"));
    return challengeOf("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
  });
  assert.equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
};

checks["one click signs in and leaves no token in the address"] = async () => {
  const page = await signedIn();
  assert.ok(!page.url().includes("token"), page.url());
  assert.equal(await page.evaluate(() => document.cookie + localStorage.length + sessionStorage.length), "00");
};

checks["a question is answered, and its turn shows its route and its bill"] = async () => {
  const page = await signedIn();
  await show(page, "chat", "Try it");
  await page.getByLabel("Message").fill("COUNT 12");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "route, timeline and bill" }).waitFor();
  await page.getByText("completed").waitFor();
  assert.ok((await page.getByRole("log").innerText()).includes("1 2 3 4 5 6 7 8 9 10 11 12"));
  await page.getByRole("link", { name: "route, timeline and bill" }).click();
  await page.getByRole("heading", { name: /^Bill: \$0\.\d+/ }).waitFor();
  await page.getByRole("table", { name: "Attempts" }).waitFor();
  await page.getByRole("table", { name: /Candidates/ }).waitFor();
};

checks["a turn is followed through the death of its worker"] = async () => {
  const page = await signedIn();
  await show(page, "chat", "Try it");
  await page.getByLabel("Message").fill("FAIL stall x1 @20 COUNT 300"); // the first call writes 20 numbers and never ends
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.getByText(/1 2 3 4 5/).waitFor();
  const turn = await page.getByRole("link", { name: "route, timeline and bill" }).getAttribute("href");
  await show(page, "turns", "Turns");
  await page.locator(`a[href="${turn}"]`).click();
  await page.getByText(/Event \d+ has arrived/).waitFor();
  process.kill(Number(WORKER), "SIGKILL");
  await page.getByText(/The connection broke after event \d+/).waitFor();
  await page.getByRole("table", { name: /Runs/ }).getByText(/took over after/).waitFor();
  const answer = page.locator(".answer");
  await page.waitForFunction(() => document.querySelector(".answer").innerText.endsWith(" 299 300"));
  assert.equal(await answer.innerText(), Array.from({ length: 300 }, (_, index) => index + 1).join(" "));
};

checks["a GPU is started from the page, after a look at its cost"] = async () => {
  const page = await signedIn();
  await show(page, "fleet", "Fleet");
  await page.getByRole("button", { name: "Warm up" }).click();
  await page.getByText(/costs you \$0\.\d+ at most/).waitFor();
  await page.getByRole("button", { name: "Start scripted-gpu" }).click();
  const card = page.locator("section", { has: page.getByRole("heading", { name: /^scripted-gpu/ }) });
  await card.getByText("warm", { exact: true }).waitFor();
  await card.getByRole("heading", { name: "Open GPU session" }).waitFor();
  await page.getByRole("img", { name: /^Money a minute: at most \$/ }).waitFor();
  await card.getByRole("table", { name: /^Who shares it/ }).waitFor();
  await page.getByRole("link", { name: "Do its sessions pay?" }).click();
  await page.getByRole("heading", { level: 1, name: "Investment" }).waitFor();
  await page.getByRole("table", { name: /against answering elsewhere/ }).getByText(/^still up/).waitFor();
  await page.getByRole("img", { name: /a session is bought at \$0/ }).waitFor();
  await show(page, "starts", "Starts");
  await page.getByRole("table", { name: "Starts of the last day" }).waitFor();
  await page.getByRole("heading", { name: "Hidden starts" }).waitFor();
};

checks["the chosen model answers, on the GPU that was started"] = async () => {
  const page = await signedIn();
  await show(page, "chat", "Try it");
  await page.getByLabel("Model").selectOption("scripted@scripted-gpu");
  await page.getByLabel("Message").fill("COUNT 3");
  await page.keyboard.press("Enter");
  await page.getByText("completed").waitFor();
  await page.getByRole("link", { name: "route, timeline and bill" }).click();
  await page.getByRole("heading", { name: /^Bill: .* provisional/ }).waitFor();
  await page.getByRole("heading", { name: "GPU session on scripted-gpu" }).waitFor();
  await page.getByText(/billed until it stops/).waitFor();
  await page.getByRole("table", { name: "What is provisional" }).getByText("GPU idle period").waitFor();
};

checks["a conversation is listed, and continued"] = async () => {
  const page = await signedIn();
  await show(page, "chat", "Try it");
  const choice = page.getByRole("combobox", { name: /^Conversation/ });
  await choice.locator("option").nth(1).waitFor({ state: "attached" });
  await choice.selectOption({ index: 1 });
  await page.getByRole("log").getByText("COUNT 3", { exact: true }).waitFor();
  await page.getByLabel("Message").fill("COUNT 2");
  await page.keyboard.press("Enter");
  await page.getByText("completed").waitFor();
  assert.equal(await page.getByRole("article").count(), 4);
};

checks["an image is sent to a model that takes one"] = async () => {
  const page = await signedIn();
  await show(page, "chat", "Try it");
  await page.getByLabel("Model").selectOption("scripted");
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  await page.getByLabel("Image").setInputFiles({ name: "pixel.png", mimeType: "image/png", buffer: Buffer.from(pixel, "base64") });
  await page.getByLabel("Message").fill("What is this?");
  await page.getByRole("button", { name: "Send" }).click();
  await page.getByText("completed").waitFor();
  await page.getByText(/I see \[image\/png, \d+ bytes\]/).waitFor();
};

checks["the money is shown by day and cause, and saved in the columns of FOCUS"] = async () => {
  const page = await signedIn();
  await show(page, "money", "Money");
  await page.getByRole("heading", { name: "Spend by day and cause" }).waitFor();
  await page.getByRole("heading", { name: /^The month so far: \$0\.\d+/ }).waitFor();
  await page.getByRole("heading", { name: "Ways to serve" }).waitFor();
  await page.getByText(/Nothing has been published yet/).waitFor();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Save as FOCUS" }).click();
  const lines = (await readFile(await (await saved).path(), "utf8")).split("\r\n");
  assert.ok(lines[0].startsWith("BilledCost,BillingAccountId"), lines[0]);
  assert.ok(lines.length > 2);
};

for (const [colorScheme, width] of [["light", 1200], ["dark", 1200], ["light", 390]]) {
  checks[`no view has a barrier, ${colorScheme}, ${width} pixels wide`] = async () => {
    const page = await signedIn({ colorScheme, viewport: { width, height: 900 } });
    for (const [name, heading] of Object.entries(VIEWS)) {
      await show(page, name, heading);
      await picture(page, `${name}-${colorScheme}-${width}`);
      assert.deepEqual(await violations(page), [], name);
      assert.equal(await page.evaluate(() => document.querySelector("main :is(h1, h2, table, form)").tagName), "H1", `${name}: the heading comes first`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${name} is too wide`);
    }
    await page.getByRole("link", { name: "Turns" }).click();
    await page.getByRole("link", { name: /^resp_/ }).first().click();
    await page.getByRole("table", { name: "Attempts" }).waitFor();
    await picture(page, `turn-${colorScheme}-${width}`);
    assert.deepEqual(await violations(page), [], "turn");
  };
}

checks["every view is reached by the keyboard alone"] = async () => {
  const page = await signedIn();
  for (const [name, heading] of Object.entries(VIEWS)) {
    await page.evaluate(() => document.body.focus());
    const link = page.getByRole("navigation").getByRole("link", { name: heading, exact: true });
    for (let presses = 0; presses < 20 && !(await link.evaluate((node) => node === document.activeElement)); presses++)
      await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: heading, exact: true }).waitFor();
    assert.ok(page.url().endsWith(`#/${name}`));
  }
};

checks["everything in a view is reached and used by the keyboard alone, and the focus is seen"] = async () => {
  const page = await signedIn();
  await show(page, "turns", "Turns");
  const first = (await page.getByRole("link", { name: /^resp_/ }).first().getAttribute("href")).slice(2);
  for (const [name, heading] of Object.entries({ ...VIEWS, [first]: "Turn" })) {
    await show(page, name, heading);
    const reached = await page.evaluate(() => {
      document.activeElement?.blur();
      const usable = "a[href], button:not(:disabled), select:not(:disabled), input, textarea, summary, [tabindex='0']";
      window.wanted = new Set([...document.querySelectorAll(`main :is(${usable})`)].filter((each) => each.checkVisibility()));
      return window.wanted.size;
    });
    assert.ok(reached > 0, name);
    for (let presses = 0; presses < reached + 20; presses++) {
      await page.keyboard.press("Tab");
      const unseen = await page.evaluate(() => {
        const node = document.activeElement;
        window.wanted.delete(node);
        return node !== document.body && getComputedStyle(node).outlineStyle === "none" ? node.outerHTML.slice(0, 200) : "";
      });
      assert.equal(unseen, "", `${name}: the focus is not seen`);
    }
    assert.deepEqual(await page.evaluate(() => [...window.wanted].filter((each) => each.isConnected).map((each) => each.outerHTML.slice(0, 200))), [], name);
  }
  await show(page, "money", "Money");
  await page.getByRole("combobox", { name: /^By/ }).focus();
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await page.getByRole("table", { name: "Usage" }).getByText("Hour").waitFor();
};

checks["a page asks for little in ten minutes, and stops when it is left open overnight"] = async () => {
  for (const [name, heading] of Object.entries({ turns: "Turns", fleet: "Fleet", investment: "Investment", starts: "Starts", money: "Money" })) {
    const page = await opened();
    await page.clock.install();
    let asked = 0;
    page.on("request", () => asked++);
    await page.goto(CONSOLE);
    await show(page, name, heading);
    await page.clock.runFor(600_000);
    assert.ok(asked <= 50, `${name}: ${asked} requests`);
    await page.clock.runFor(3_600_000);
    await page.getByText(/This page has stopped reading/).first().waitFor();
    const stopped = asked;
    await page.clock.runFor(600_000);
    assert.equal(asked, stopped);
    await page.getByRole("button", { name: "Read again" }).click();
    await page.getByText(/This page has stopped reading/).waitFor({ state: "detached" });
    await page.close();
  }
};

const MARKUP = "<img onerror=alert(1) src=x>";
const NAMED = new Set(["id", "model", "backend", "system", "region", "reason", "why", "cause", "owner", "tenant", "step", "name", "source"]);

/** Return an answer in which every name and reason is markup. */
function named(value) {
  if (Array.isArray(value)) return value.map(named);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, NAMED.has(key) && typeof each === "string" ? MARKUP : named(each)]));
}

checks["names and reasons from outside are text in every view"] = async () => {
  const page = await signedIn();
  await show(page, "turns", "Turns");
  const turn = (await page.getByRole("link", { name: /^resp_/ }).first().getAttribute("href")).slice(2);
  await page.route("**/v1/**", async (route) => {
    const answer = await route.fetch({ url: route.request().url().replace(encodeURIComponent(MARKUP), "scripted-gpu") });
    await route.fulfill({ response: answer, json: named(await answer.json()) });
  });
  for (const [name, heading] of Object.entries({ ...VIEWS, [turn]: "Turn" })) {
    await show(page, name, heading);
    if (name !== "chat") await page.waitForFunction((text) => document.querySelector("main").innerText.includes(text), MARKUP);
    assert.equal(await page.locator("main img").count(), 0, name);
  }
};

checks["the browser has nothing to complain about"] = () => {
  const expected = /status of 401|status of 50[23]|net::ERR_/; // a wrong token; the death of the worker
  assert.deepEqual(said.filter((text) => !expected.test(text)), []);
};

await tell({ "Chromium and axe-core": checks }, () => browser.close());
