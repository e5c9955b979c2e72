// "What if": the decision on screen, made again from the ledger with something changed, and the cards that move.

import { $, h, ms, pretty, text } from "./dom.js";

const CHANGES = {
  forget: { label: "Forget my last view", change: () => ({ forget: ["last view"] }) },
  sold: { label: "Stock 0", change: (item) => ({ items: { [item.id]: { stock: 0 } } }) },
  unprofiled: { label: "No profile", change: () => ({ profiled: false }) },
};

/** A change in the node's words, with the titles as people read them in the place of ids. */
function readable(said, cards) {
  const line = cards.reduce((found, card) => (card.title ? found.replace(`${card.id} (${card.title})`, pretty(card.title)) : found), said);
  return line.charAt(0).toUpperCase() + line.slice(1);
}

/** `show(items)` draws the supposed page; `back()` draws what is. Gives {toggles(item), leave(), isOpen()}. */
export function whatIf(client, { show, back, decisionOf }) {
  const box = $("whatif");
  let asked = null; // {decision, item, on: Set}
  let serial = 0;
  let prepared = null; // the decision the node was told about

  const toggle = (name, item) => h("button", { class: "switch", type: "button", role: "switch", "aria-checked": String(asked?.item.id === item.id && asked.on.has(name)), data: { change: name },
    "aria-label": name === "sold" ? `Suppose ${pretty(item.title)} is sold out` : CHANGES[name].label, onclick: () => flip(name, item) }, h("span", { class: "knob", "aria-hidden": "true" }), CHANGES[name].label);

  /** The first question about a page is the slow one: the node is told that it may come. */
  function prepare(decision) {
    if (prepared === decision) return;
    prepared = decision;
    client.call("POST", `/v1/decisions/${encodeURIComponent(decision)}/what-if/prepare`).catch(() => {}); // the question itself will say what is wrong
  }

  /** The switches of one card, for its "why". */
  function toggles(item) {
    prepare(decisionOf());
    return h("div", { class: "switches" }, h("p", { class: "small" }, "What if?"), ["forget", "sold", "unprofiled"].map((name) => toggle(name, item)));
  }

  function flip(name, item) {
    if (asked?.item.id !== item.id) asked = { decision: decisionOf(), item, on: new Set() };
    if (!asked.on.delete(name)) asked.on.add(name);
    if (asked.on.size) recompute();
    else leave(true);
  }

  async function recompute() {
    const mine = ++serial;
    const { decision, item, on } = asked;
    const started = performance.now();
    const change = Object.assign({}, ...[...on].map((name) => CHANGES[name].change(item)));
    draw(h("p", { class: "small", role: "status" }, "Running the ledger again…"));
    try {
      const told = await client.call("POST", `/v1/decisions/${encodeURIComponent(decision)}/what-if`, change);
      if (mine !== serial) return;
      const gone = told.cards.filter((card) => card.after === null).map((card) => pretty(card.title || card.id));
      const line = told.moved ? `${told.moved} ${told.moved === 1 ? "card has" : "cards have"} another place.` : "Nothing moves.";
      draw(h("p", { class: "said", role: "status" }, h("b", {}, line), gone.length && on.has("sold") ? ` Gone: ${gone.slice(0, 2).join(", ")}${gone.length > 2 ? ` and ${gone.length - 2} more` : ""}.` : ""),
        h("p", { class: "quiet small" }, `${told.changed.map((each) => readable(each, told.cards)).join("; ")}. From the ledger in ${ms(performance.now() - started)}.`));
      show(told.answer.items);
    } catch (error) {
      if (mine === serial) draw(h("p", { class: "small", role: "alert" }, error.status === 404 && on.has("forget") ? "There is no view of yours to forget yet." : `${error.message}`));
    }
  }

  function draw(...said) {
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.change : null;
    box.hidden = false;
    box.replaceChildren(h("div", { class: "row" }, ["forget", "sold", "unprofiled"].map((name) => toggle(name, asked.item)), h("button", { class: "button back", type: "button", onclick: () => leave(true) }, "Back to what is")), ...said);
    if (focused) box.querySelector(`[data-change="${focused}"]`)?.focus({ preventScroll: true });
    const sold = box.querySelector('[data-change="sold"]');
    if (sold) text(sold.lastChild, `${pretty(asked.item.title)}: stock 0`);
  }

  function leave(redraw) {
    serial += 1;
    if (!asked) return;
    asked = null;
    box.hidden = true;
    box.replaceChildren();
    if (redraw) back();
  }

  return { toggles, leave, isOpen: () => asked !== null };
}
