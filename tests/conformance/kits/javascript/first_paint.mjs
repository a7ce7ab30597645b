// When does Chromium first paint the console, beside an empty page and one `GET /healthz`? One line of JSON a round.
import { createServer } from "node:http";
import { chromium } from "playwright-core";

const { CHROMIUM, CONSOLE, APP, ROUNDS } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu", "--no-first-run"] });

const empty = createServer((_request, answer) => {
  answer.writeHead(200, { "content-type": "text/html" });
  answer.end('<!doctype html><html lang="en"><title>Empty</title><link rel="icon" href="data:,"><p>.</p></html>');
});
await new Promise((done) => empty.listen(0, "127.0.0.1", done));

/** Return the milliseconds from the navigation to the first paint, with an empty cache; `shown` is what the page then has. */
async function painted(address, shown) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(address);
  await page.locator(shown).waitFor();
  const found = await page.evaluate(async () => {
    const paint = () => performance.getEntriesByName("first-contentful-paint")[0];
    while (!paint()) await new Promise((done) => setTimeout(done, 5));
    const files = performance.getEntriesByType("resource").filter((each) => each.name.includes("/console"));
    return { first: paint().startTime, files: files.length, bytes: files.reduce((sum, each) => sum + each.transferSize, 0) };
  });
  await context.close();
  return found;
}

async function health() {
  const began = performance.now();
  const answer = await fetch(`${APP}/healthz`);
  await answer.text();
  return performance.now() - began;
}

const signIn = await fetch(CONSOLE, { redirect: "manual" });
const signedIn = signIn.headers.get("location");
const HEADING = "main h1";

for (let round = 0; round < Number(ROUNDS); round++) {
  const [healthz, blank] = [await health(), await painted(`http://127.0.0.1:${empty.address().port}/`, "p")];
  const [out, turns] = [await painted(`${APP}/console`, HEADING), await painted(signedIn, HEADING)];
  console.log(JSON.stringify({ healthz, empty: blank.first, "sign-in": out.first, turns: turns.first, files: turns.files, bytes: turns.bytes }));
}
await browser.close();
empty.close();
