// How is an amount drawn over time: with a scale at the left, times below, and the colours of its causes?

import { html } from "./htm-preact.js";
import { dollars, round } from "./parts.js";

export const HEIGHT = 40;

/** Return round steps of a scale from zero to at least `highest`: three to five of them. */
export function stepsTo(highest) {
  if (!(highest > 0)) return [0, 1];
  const raw = highest / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw * 0.9999);
  return Array.from({ length: Math.ceil(highest / step - 0.0001) + 1 }, (_, index) => index * step);
}

/**
 * A plot with its scales: `draw(top)` returns the marks in a box of 100 by `HEIGHT`, where `top` is the amount at its top.
 * `below` are texts under the plot, from the left to the right. The table beside the plot has the same amounts.
 */
export function Plot({ label, highest, shown = round, below = [], small = false, draw }) {
  const steps = stepsTo(highest);
  const top = steps.at(-1);
  const y = (value) => HEIGHT * (1 - value / top);
  return html`<div class=${small ? "plot small" : "plot"}>
    <div class="scale-y" aria-hidden="true">${steps.toReversed().map((step) => html`<span>${shown(step)}</span>`)}</div>
    <svg viewBox=${`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
      ${steps.map((step) => html`<line class="grid" x1="0" x2="100" y1=${y(step)} y2=${y(step)} />`)}
      ${draw(top)}
    </svg>
    <p class="scale-x" aria-hidden="true">${below.map((text) => html`<span>${text}</span>`)}</p>
  </div>`;
}

/** Return the times of a scale below a plot, from the left to the right. */
export function timesBetween(from, to, number = 5) {
  const shown = { hour: "2-digit", minute: "2-digit", ...(to - from < 300 ? { second: "2-digit" } : {}) };
  return Array.from({ length: number }, (_, index) => new Date(1000 * (from + ((to - from) * index) / (number - 1))).toLocaleTimeString([], shown));
}

/** Lines that hatch what they cover; a plot with provisional amounts has them once. */
export function Hatching() {
  return html`<defs><pattern id="hatching" width="2" height="2" patternUnits="userSpaceOnUse" patternTransform="rotate(45) scale(0.55 1)">
    <rect width="0.9" height="2" class="hatch" />
  </pattern></defs>`;
}

/**
 * One column a day, its causes on top of each other, what may still change at the top and hatched. Rows have `day`,
 * `cause` and `cost_usd`; `kinds` gives colours, `provisional` the dollars of a day that are not final.
 */
export function Stacked({ rows, kinds, provisional = {} }) {
  const days = [...new Set(rows.map((row) => row.day))].sort();
  const order = Object.keys(kinds);
  const ofDay = (day) => rows.filter((row) => row.day === day).sort((a, b) => order.indexOf(b.cause) - order.indexOf(a.cause));
  const totals = days.map((day) => ofDay(day).reduce((total, row) => total + Number(row.cost_usd), 0));
  const width = 100 / Math.max(days.length, 10);
  const said = days.map((day, index) => `${day} ${dollars(totals[index])}`).join(", ");
  const draw = (top) => html`<${Hatching} />${days.map((day, index) => {
    let y = HEIGHT;
    const place = { x: index * width + width * 0.12, width: width * 0.76 };
    const parts = ofDay(day).map((row) => {
      const height = (HEIGHT * Number(row.cost_usd)) / top;
      y -= height;
      return html`<rect class=${`lane ${kinds[row.cause] ?? "tools"}`} ...${place} y=${y} height=${height}><title>${day}, ${row.cause.replaceAll("_", " ")}: ${dollars(row.cost_usd)}</title></rect>`;
    });
    const open = Math.min(provisional[day] ?? 0, totals[index]);
    return html`${parts}${open > 0 && html`<rect fill="url(#hatching)" ...${place} y=${y} height=${(HEIGHT * open) / top}><title>${day}: ${dollars(open)} may still change</title></rect>`}`;
  })}`;
  const below = days.length < 10 ? [`${days[0]}${days.length > 1 ? ` to ${days.at(-1)}` : ""}`] : [days[0], days[Math.floor(days.length / 2)], days.at(-1)];
  return html`<${Plot} label=${`Spend by day: ${said}`} highest=${Math.max(...totals)} below=${below} draw=${draw} />`;
}

/** The month as it adds up, from one row a day, with its budget, the forecast with its band and 150 % of it, where they are known. */
export function Month({ rows, month, budget, today }) {
  const spent = rows.filter((row) => row.day.startsWith(month));
  if (!spent.length) return null;
  const last = new Date(Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 0)).getUTCDate();
  const now = Math.max(...spent.map((row) => Number(row.day.slice(8))));
  const added = Array.from({ length: now }, (_, index) => spent.filter((row) => Number(row.day.slice(8)) <= index + 1).reduce((total, row) => total + Number(row.cost_usd), 0));
  const forecast = Number(today?.forecast_usd ?? 0) * last;
  const limit = Number(budget?.limit_usd ?? 0);
  const [low, high] = [Number(budget?.projected_low_usd ?? 0), Number(budget?.projected_high_usd ?? 0)];
  const known = [
    forecast && `forecast ${dollars(forecast)}`,
    forecast && `150 % of it ${dollars(forecast * 1.5)}`,
    high && `projected ${dollars(low)} to ${dollars(high)}`,
    limit && `budget ${dollars(limit)}`,
  ].filter(Boolean);
  const draw = (top) => {
    const point = (index, value) => `${(100 * index) / last},${HEIGHT * (1 - value / top)}`;
    const line = (kind, whole) => whole > 0 && html`<polyline class=${`line-${kind}`} points=${`${point(0, 0)} ${point(last, whole)}`} />`;
    return html`${high > 0 && html`<polygon class="band" points=${`${point(now, added.at(-1))} ${point(last, Math.max(high, added.at(-1)))} ${point(last, Math.max(low, added.at(-1)))}`} />`}
      ${line("forecast", forecast)}${line("alarm", forecast * 1.5)}
      ${limit > 0 && html`<polyline class="line-limit" points=${`${point(0, limit)} ${point(last, limit)}`} />`}
      <polyline class="line-spent" points=${[point(0, 0), ...added.map((value, index) => point(index + 1, value))].join(" ")} />`;
  };
  return html`<h3>The month so far: ${dollars(added.at(-1))}</h3>
    <${Plot} label=${`Spend of ${month}, added up: ${dollars(added.at(-1))} after day ${now}; ${known.join(", ")}`}
      highest=${Math.max(added.at(-1), forecast * 1.5, limit, high)} below=${[`${month}-01`, `${month}-${String(Math.ceil(last / 2)).padStart(2, "0")}`, `${month}-${last}`]} draw=${draw} />
    <p class="legend"><span><i class="stroke spent"></i>spent</span>${forecast > 0 && html`<span><i class="stroke forecast"></i>forecast</span><span><i class="stroke alarm"></i>150 % of it</span>`}
      ${high > 0 && html`<span><i class="part band"></i>projected</span>`}${limit > 0 && html`<span><i class="stroke limit"></i>budget</span>`}</p>
    <p class="hint">${known.length ? `At the end of ${month}: ${known.join(", ")}.` : "No budget limits this month, and there is no forecast yet: it needs a few days, and the role Usage.Read."}</p>`;
}

/** Straight lines over one scale: `curves` maps names to `[[x, dollars], …]`; `mark` is where they cross, if they do. */
export function Curves({ label, curves, below, mark }) {
  const names = Object.keys(curves);
  const points = Object.values(curves).flat();
  const most = Math.max(...points.map(([x]) => x));
  const draw = (top) => html`${names.map((name, index) => html`<polyline class=${index ? "line-limit" : "line-spent"} points=${curves[name].map(([x, y]) => `${(100 * x) / most},${HEIGHT * (1 - y / top)}`).join(" ")} />`)}
    ${mark > 0 && html`<line class="line-mark" x1=${(100 * mark) / most} x2=${(100 * mark) / most} y1="0" y2=${HEIGHT} />`}`;
  return html`<h3>${label}</h3>
    <${Plot} label=${label} highest=${Math.max(...points.map(([, y]) => y))} below=${["0", below(most / 2), below(most)]} draw=${draw} />
    <p class="legend">${names.map((name, index) => html`<span><i class=${`stroke ${index ? "limit" : "spent"}`}></i>${name}</span>`)}</p>`;
}
