// Small drawings for the console: a sparkline, position bars, the falling event, latency by stage.

import { calm, count, h, ms, s, text } from "./dom.js";

export function sparkline(holder, length = 120) {
  const values = [];
  const area = s("path", { class: "area" });
  const line = s("path", { class: "line" });
  holder.append(s("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" }, area, line));
  return (value) => {
    values.push(Number.isFinite(value) ? value : 0);
    if (values.length > length) values.shift();
    const top = Math.max(...values, 1e-9);
    const points = values.map((each, index) => `${((index + length - values.length) / (length - 1) * 100).toFixed(2)},${(38 - (each / top) * 35).toFixed(2)}`);
    if (points.length < 2) return;
    line.setAttribute("d", `M${points.join("L")}`);
    area.setAttribute("d", `M${points.join("L")}L100,40L${points[0].split(",")[0]},40Z`);
  };
}

const SAID = { durable: "on disk", applied: "in the tables", emitted: "told to others" };
const LAG_SHOWN = 1000; // records behind that empty a bar

export function positionBars(holder) {
  const rows = new Map(Object.keys(SAID).map((name) => {
    const number = h("b", {});
    const lag = h("span", { class: "chip" });
    const fill = h("i", {});
    holder.append(h("div", { class: name }, h("div", { class: "line" }, name, h("span", { class: "quiet small" }, SAID[name]), number, lag), h("div", { class: "meter" }, fill)));
    return [name, { number, lag, fill }];
  }));
  return (positions) => {
    for (const [name, row] of rows) {
      const behind = Math.max(0, (positions.durable ?? 0) - (positions[name] ?? 0));
      text(row.number, count(positions[name]));
      text(row.lag, name === "durable" ? `frame ${count(positions.frame)}` : behind ? `${count(behind)} behind` : "up to date");
      row.lag.classList.toggle("good", name !== "durable" && behind === 0);
      row.fill.style.width = `${(100 * (1 - Math.min(behind, LAG_SHOWN) / LAG_SHOWN)).toFixed(1)}%`;
    }
  };
}

// Which budget of the window a stage of ingest is counted against.
const BUDGET_OF = { door: "govern_ms", contract: "govern_ms", consent: "govern_ms", seal: "govern_ms", apply: "process_ms", decode: "process_ms", tables: "process_ms" };
const REST_MS = 2600; // one event is followed to the end before the next one starts

export function fallingEvent(holder, line) {
  let shown = "";
  let startedAt = -Infinity;
  return (event, window) => {
    if (!event?.stages?.length || performance.now() - startedAt < REST_MS) return;
    const key = JSON.stringify(event);
    if (key === shown) return;
    shown = key;
    startedAt = performance.now();
    const total = event.stages.reduce((sum, stage) => sum + (stage.ms ?? 0), 0);
    line.replaceChildren(`${event.event ?? "event"}${event.item_id ? ` · ${event.item_id}` : ""}${event.subject ? ` · ${String(event.subject).slice(0, 10)}` : ""} · ${ms(total)} from door to tables `,
      event.simulated ? h("span", { class: "chip" }, "simulated") : "");
    const dot = h("span", { class: "dot", "aria-hidden": "true" });
    const steps = event.stages.map((stage) => {
      const budget = window?.[BUDGET_OF[stage.name] ?? "ingest_ms"];
      const part = budget ? stage.ms / budget : 0;
      return h("div", { class: "step" }, h("span", {}, stage.name), h("span", { class: "amount" }, ms(stage.ms)),
        h("span", { class: part > 1 ? "meter over" : "meter" }, h("i", { style: { width: `${Math.min(100, part * 100).toFixed(2)}%` } })), h("span", { class: "quiet small budget" }, budget ? `of ${budget} ms` : ""));
    });
    holder.replaceChildren(dot, ...steps);
    const end = steps.at(-1).offsetTop - steps[0].offsetTop;
    if (calm()) {
      dot.style.top = `${7 + end}px`;
      return;
    }
    // The dot rests at each stage for that stage's share of the time, so a slow sync is seen to be slow.
    let passed = 0;
    const frames = steps.flatMap((step, index) => {
      const at = `translateY(${step.offsetTop - steps[0].offsetTop}px)`;
      const from = Math.min(1, (index / steps.length) * 0.45 + (passed / Math.max(total, 1e-9)) * 0.55);
      passed += event.stages[index].ms ?? 0;
      const to = Math.min(1, (index / steps.length) * 0.45 + (passed / Math.max(total, 1e-9)) * 0.55);
      return [{ transform: at, offset: from }, { transform: at, offset: Math.max(from, to) }];
    });
    dot.animate(frames, { duration: 1800, fill: "forwards", easing: "linear" });
  };
}

/** Stages as one bar per percentile on the scale of the window or of the slowest percentile, whichever shows more. */
export function latencyStacks(holder, line) {
  return (latency, window) => {
    const stages = Object.entries(latency?.stages ?? {});
    const decide = latency?.decide ?? {};
    const sum = (name) => stages.reduce((total, [, stage]) => total + (stage[name] ?? 0), 0);
    const budget = window?.process_ms ?? window?.total_ms ?? 0;
    const slowest = Math.max(sum("p99_ms"), decide.p99_ms ?? 0, 1e-6);
    const inView = slowest * 4 > budget;
    const scale = inView ? Math.max(slowest, budget) * 1.04 : slowest * 1.15;
    text(line, `p50 ${ms(decide.p50_ms)}, p99 ${ms(decide.p99_ms)}, p99.9 ${ms(decide.p999_ms)}, worst ${ms(decide.max_ms)}. Window ${window?.name ?? ""}: ${window?.total_ms ?? "–"} ms, of it ${window?.process_ms ?? "–"} ms for processing${inView ? "" : ` (${Math.round(budget / slowest)} times this scale)`}.`);
    const lane = (name, label) => h("div", { class: "stack" }, h("b", {}, label),
      h("div", { class: "lane", role: "img", "aria-label": `${label} by stage: ${stages.map(([stage, each]) => `${stage} ${ms(each[name])}`).join(", ")}` },
        stages.map(([, each], index) => h("i", { class: `k${index % 8}`, style: { width: `${((each[name] ?? 0) / scale) * 100}%` } })),
        inView ? h("span", { class: "mark", style: { left: `${(budget / scale) * 100}%` } }) : null),
      h("span", { class: "amount" }, ms(sum(name))));
    // The same p99 on the whole window, with the window's own parts marked.
    const whole = window?.total_ms ?? 0;
    const marks = [window?.ingest_ms, (window?.ingest_ms ?? 0) + (window?.process_ms ?? 0)].filter((at) => at > 0 && at < whole);
    const against = whole ? h("div", { class: "stack" }, h("b", {}, "window"), h("div", { class: "lane", role: "img", "aria-label": `p99 ${ms(decide.p99_ms)} of ${whole} ms` },
      h("i", { class: "k7", style: { width: `${Math.min(100, ((decide.p99_ms ?? 0) / whole) * 100)}%` } }), marks.map((at) => h("span", { class: "mark", style: { left: `${(at / whole) * 100}%` } }))), h("span", { class: "amount" }, `${whole} ms`)) : "";
    holder.replaceChildren(lane("p50_ms", "p50"), lane("p99_ms", "p99"), against,
      h("ul", { class: "legend" }, stages.map(([name, each], index) => h("li", {}, h("span", { class: `key k${index % 8}` }), name, h("span", { class: "amount" }, `${ms(each.p50_ms)} / ${ms(each.p99_ms)}${each.budget_ms ? ` of ${each.budget_ms}` : ""}`)))));
  };
}
