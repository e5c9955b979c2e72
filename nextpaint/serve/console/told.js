// What has to be said of an item where it is shown: that somebody paid for its place, that its price depends on personal
// data, that its text was written by a machine, and the shop's own badges.

import { h } from "./dom.js";

/** Of an item of an answer. */
export const toldOf = (entry) => ({
  sponsored: entry.sponsored === true, behalf: entry.behalf ?? "", paid: entry.paid ?? "", marks: entry.marks ?? [],
  disclosure: entry.fields?.price_disclosure ?? "", generated: Object.entries(entry.ai_generated ?? {}),
});

/** The same as elements, most binding first; none for most items. */
export function tags(told) {
  if (!told) return [];
  return [
    told.sponsored ? h("span", { class: "told paid" }, told.paid && told.paid !== told.behalf ? `Sponsored for ${told.behalf}, paid by ${told.paid}` : `Sponsored by ${told.behalf}`) : null,
    told.disclosure ? h("span", { class: "told law" }, told.disclosure) : null,
    ...told.generated.map(([column, by]) => h("span", { class: "told ai", title: `${column}: ${by}` }, `AI-written ${column}`)),
    ...told.marks.map((mark) => h("span", { class: "told" }, mark)),
  ].filter(Boolean);
}
