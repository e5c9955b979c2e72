// The strip of interests: bars that fade with their half-life between two readings, so that a visitor sees time at work.

import { duration, h, pretty, text } from "./dom.js";

const GONE = 0.02; // heat below this is no interest that anyone would notice

export function interestStrip(bars, line, readingTime) {
  let rows = []; // {category, heat at readAt}
  let readAt = 0;
  let halfLife = 600;
  let scale = 1; // the strongest heat seen since the strip was last empty: full width

  const heatNow = (row) => row.heat * 2 ** -(Math.max(0, readingTime() - readAt) / 1000 / halfLife);

  function draw() {
    const live = rows.map((row) => ({ ...row, now: heatNow(row) })).filter((row) => row.now > GONE).slice(0, 5);
    const total = live.reduce((sum, row) => sum + row.now, 0);
    if (bars.children.length !== live.length || live.some((row, index) => bars.children[index].dataset.category !== row.category)) {
      bars.replaceChildren(...live.map((row) => h("li", { data: { category: row.category } }, h("span", {}, pretty(row.category)), h("span", { class: "share" }), h("span", { class: "track", "aria-hidden": "true" }, h("i")))));
    }
    live.forEach((row, index) => {
      const item = bars.children[index];
      text(item.querySelector(".share"), `${Math.round((row.now / total) * 100)} %`);
      item.querySelector("i").style.transform = `scaleX(${Math.min(1, row.now / scale).toFixed(4)})`;
    });
    if (!live.length) scale = 1e-9;
    text(line, live.length ? `Fading, half-life ${duration(halfLife * 1000)}` : rows.length ? "Faded. The page is what everyone sees." : "Nothing yet.");
    return live.length > 0;
  }

  return {
    draw,
    take(answer, atMs) {
      rows = (answer.interests ?? []).map((row) => ({ category: String(row.category), heat: Number(row.heat) || 0 })).sort((a, b) => b.heat - a.heat);
      readAt = atMs;
      if (answer.half_life_s > 0) halfLife = answer.half_life_s;
      scale = Math.max(scale, ...rows.map((row) => row.heat), 1e-9);
      return draw();
    },
    clear(why) {
      rows = [];
      scale = 1e-9;
      draw();
      if (why) text(line, why);
    },
  };
}
