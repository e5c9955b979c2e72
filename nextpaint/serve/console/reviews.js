// Decisions that somebody asked a person to look at: the queue, longest waiting first, and what people made of the last ones.

import { $, count, duration, h, pretty, text } from "./dom.js";

const SHOWN = 20; // open ones drawn at once; the others follow as these are closed
const LAST = 5;
const CAUSES = { contested: "Contested", significant: "Significant by its surface" };
const OUTCOMES = { upheld: "Upheld", changed: "Changed" };

const decision = (review) => h("a", { class: "mono", href: `/why/${encodeURIComponent(review.decision_id)}` }, review.decision_id);
const about = (review) => h("td", {}, review.reason, h("small", {}, [CAUSES[review.cause] ?? review.cause, review.asked_by ? `asked by ${review.asked_by}` : "", review.rounds > 1 ? `round ${review.rounds}` : ""].filter(Boolean).join(" · ")));
const table = (names, rows) => h("table", {}, h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col", class: name === "Since" ? "number" : null }, name)))), h("tbody", {}, rows));

export function reviewsBox(client) {
  const box = $("reviews");
  let shown = "";

  /** A note that is being written is not drawn over. */
  const busy = () => box.contains(document.activeElement) || [...box.querySelectorAll("input")].some((input) => input.value);

  async function read() {
    const [open, closed] = await Promise.all(["open", "closed"].map(async (state) => (await client.call("GET", `/v1/reviews?state=${state}`)).reviews));
    const key = JSON.stringify([open, closed.slice(0, LAST)]) + Math.floor(Date.now() / 30000);
    if (key === shown || busy()) return;
    shown = key;
    draw(open, closed.slice(0, LAST));
  }

  function draw(open, closed) {
    text($("reviews-line"), open.length ? `${count(open.length)} ${open.length === 1 ? "waits" : "wait"} for a person, longest first.` : "Nothing waits. Anybody may contest a decision on its page.");
    const waiting = open.slice(0, SHOWN).map((review) => {
      const note = h("input", { maxlength: "1000", placeholder: "What you found, and why", "aria-label": `What you found of ${review.decision_id}` });
      const button = (outcome, label) => h("button", { type: "button", "aria-label": `${label} ${review.decision_id}`, onclick: () => close(review, outcome, note) }, label);
      return h("tr", {}, h("th", { scope: "row" }, decision(review), h("small", {}, pretty(review.surface.replaceAll("_", " ")))), about(review), h("td", { class: "number" }, duration(Date.now() - review.asked_ms)), h("td", { class: "finding" }, note, button("upheld", "Upheld"), button("changed", "Changed")));
    });
    const done = closed.map((review) => h("tr", { class: "over" }, h("th", { scope: "row" }, decision(review), h("small", {}, pretty(review.surface.replaceAll("_", " ")))), about(review), h("td", { class: "number" }, `${duration(Date.now() - review.decided_ms)} ago`),
      h("td", {}, h("span", { class: review.outcome === "changed" ? "chip now" : "chip" }, OUTCOMES[review.outcome] ?? review.outcome), ` ${review.note}`, h("small", {}, review.decided_by))));
    box.replaceChildren(waiting.length || done.length ? table(["Decision", "Why a person looks", "Since", "What came of it"], [...waiting, ...done]) : "");
  }

  async function close(review, outcome, note) {
    if (!note.value.trim()) {
      say("Write what you found first: it stays on record beside the decision.", true);
      note.focus();
      return;
    }
    try {
      await client.call("PUT", `/v1/reviews/${encodeURIComponent(review.decision_id)}`, { outcome, note: note.value });
      note.value = "";
      note.blur();
      document.activeElement?.blur?.();
      shown = "";
      await read();
      say(`${review.decision_id}: ${OUTCOMES[outcome].toLowerCase()}, on record.`);
    } catch (error) {
      say([error.message, error.cure].filter(Boolean).join(" · "), true);
    }
  }

  function say(words, bad = false) {
    text($("reviews-said"), words);
    $("reviews-said").classList.toggle("bad", bad);
  }

  return { read };
}
