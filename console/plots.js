// How does spending look over days: by cause, and added up over the month?

import { html } from "./htm-preact.js";
import { dollars } from "./parts.js";

/** One column a day, its causes on top of each other. Rows have `day`, `cause` and `cost_usd`; `kinds` gives colours. */
export function Stacked({ rows, kinds }) {
  const days = [...new Set(rows.map((row) => row.day))].sort();
  const totals = days.map((day) => rows.filter((row) => row.day === day).reduce((total, row) => total + Number(row.cost_usd), 0));
  const highest = Math.max(...totals, Number.MIN_VALUE);
  const width = 100 / Math.max(days.length, 7);
  const said = days.map((day, index) => `${day} ${dollars(totals[index])}`).join(", ");
  return html`<svg class="columns" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label=${`Spend by day: ${said}`}>
    ${days.map((day, index) => {
      let top = 40;
      return rows.filter((row) => row.day === day).map((row) => {
        const height = (38 * Number(row.cost_usd)) / highest;
        top -= height;
        return html`<rect class=${`lane ${kinds[row.cause] ?? "tools"}`} x=${index * width + width * 0.1} width=${width * 0.8} y=${top} height=${height}><title>${day}, ${row.cause}: ${dollars(row.cost_usd)}</title></rect>`;
      });
    })}
  </svg>
  <p class="axis"><span>${days[0]}</span><span>the highest: ${dollars(highest)}</span>${days.length > 1 && html`<span>${days.at(-1)}</span>`}</p>`;
}

/** The month as it adds up, from one row a day, with its budget, the forecast and 150 % of it as lines, where they are known. */
export function Month({ rows, month, budget, today }) {
  const spent = rows.filter((row) => row.day.startsWith(month));
  if (!spent.length) return null;
  const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).getUTCDate();
  const now = Math.max(...spent.map((row) => Number(row.day.slice(8))));
  const added = Array.from({ length: now }, (_, index) => spent.filter((row) => Number(row.day.slice(8)) <= index + 1).reduce((total, row) => total + Number(row.cost_usd), 0));
  const forecast = Number(today?.forecast_usd ?? 0) * last;
  const limit = Number(budget?.limit_usd ?? 0);
  const highest = Math.max(added.at(-1), forecast * 1.5, limit) * 1.05 || 1;
  const point = (index, value) => `${(100 * index) / last},${40 - (39 * value) / highest}`;
  const line = (kind, whole) => whole > 0 && html`<polyline class=${`line-${kind}`} points=${`${point(0, 0)} ${point(last, whole)}`} />`;
  const known = [forecast && `forecast ${dollars(forecast)}`, forecast && `150 % of it ${dollars(forecast * 1.5)}`, limit && `budget ${dollars(limit)}`].filter(Boolean);
  return html`<h3>The month so far: ${dollars(added.at(-1))}</h3>
    <svg class="month" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label=${`Spend of ${month}, added up: ${dollars(added.at(-1))} after day ${now}; ${known.join(", ")}`}>
      ${line("forecast", forecast)}${line("alarm", forecast * 1.5)}
      ${limit > 0 && html`<polyline class="line-limit" points=${`${point(0, limit)} ${point(last, limit)}`} />`}
      <polyline class="line-spent" points=${[point(0, 0), ...added.map((value, index) => point(index + 1, value))].join(" ")} />
    </svg>
    <p class="axis"><span>${month}-01</span><span>${month}-${String(last).padStart(2, "0")}</span></p>
    <p class="hint">${known.length ? `At the end of ${month}: ${known.join(", ")}.` : "No budget limits this month, and there is no forecast yet: it needs a few days, and the role Usage.Read."}</p>`;
}
