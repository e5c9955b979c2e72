// A carousel of cards: renders a list, moves cards when the order changes (first, last, invert, play), marks ranks.

import { calm, h, pretty, text, tile } from "./dom.js";
import { tags } from "./told.js";

// Prices are decimals and may come as text, so that no digit is lost on the way.
const money = (value) => (value === null || value === undefined || !Number.isFinite(Number(value)) ? "" : `£${Number(value).toFixed(2)}`);

/** events: {view(item, rank), basket(item, rank), why(item, card, panel) or null} */
export function carousel(list, events) {
  const cards = new Map(); // id -> {root, rank, badge, item}
  let openId = null;

  function make(item) {
    const rank = h("span", { class: "rank", "aria-hidden": "true" });
    const picture = h("span", { class: "picture" }, h("img", { src: tile(item.id, item.title), alt: "", width: 200, height: 200, decoding: "async" }), rank);
    const look = h("button", { class: "look", type: "button", onclick: () => events.view(card.item, card.place) }, picture, h("span", { class: "title" }, pretty(item.title)));
    const price = h("span", { class: "price" });
    const under = h("div", { class: "under" }, price);
    const said = h("p", { class: "said-of", hidden: true });
    if (events.why) under.append(h("button", { class: "ask", type: "button", "aria-expanded": "false", "aria-label": `Why ${pretty(item.title)}?`, onclick: () => toggle(item.id) }, "why?"));
    under.append(h("button", { class: "basket", type: "button", title: "Add to basket", "aria-label": `Add ${pretty(item.title)} to basket`, onclick: () => events.basket(card.item, card.place) }, "+"));
    const root = h("li", { class: "card", data: { id: item.id } }, look, said, under);
    const card = { root, rank, look, picture, price, said, item, place: 0, badge: null };
    return card;
  }

  function mark(card, before, isNew, change) {
    card.badge?.remove();
    card.badge = null;
    if (!change) return;
    const moved = before - card.place;
    const said = isNew ? "new" : moved > 0 ? `+${moved}` : moved < 0 ? `−${-moved}` : "";
    if (!said) return;
    card.badge = h("span", { class: `badge ${isNew ? "new" : moved > 0 ? "up" : "down"}` }, said);
    card.picture.append(card.badge);
  }

  function label(card, open) {
    const ask = card.root.querySelector(".ask");
    ask?.setAttribute("aria-expanded", String(open));
    text(ask, open ? "close" : "why?");
  }

  function close() {
    const card = openId === null ? null : cards.get(openId);
    openId = null;
    if (!card) return;
    card.root.classList.remove("open");
    card.root.querySelector(".why")?.remove();
    label(card, false);
  }

  function toggle(id) {
    const again = openId === id;
    play(() => close());
    if (again) return;
    const card = cards.get(id);
    const panel = h("div", { class: "why", role: "region", "aria-label": `Why ${pretty(card.item.title)}` }, h("p", { class: "quiet small" }, "Reading the record…"));
    play(() => {
      openId = id;
      card.root.classList.add("open");
      card.root.append(panel);
      label(card, true);
    });
    events.why(card.item, card.place, panel);
    if (!calm()) card.root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  const places = () => new Map([...cards].map(([id, card]) => [id, [card.root.offsetLeft, card.root.offsetTop]]));

  /** Runs `change` and lets every card travel from where it was to where it is. */
  function play(change) {
    const before = places();
    change();
    if (calm()) return;
    let step = 0;
    for (const [id, card] of cards) {
      const old = before.get(id);
      if (!old) {
        card.root.animate([{ opacity: 0, transform: "scale(.86)" }, { opacity: 1, transform: "none" }], { duration: 420, easing: "cubic-bezier(.2,.8,.2,1)", delay: 90, fill: "backwards" });
        continue;
      }
      const x = old[0] - card.root.offsetLeft;
      const y = old[1] - card.root.offsetTop;
      if (!x && !y) continue;
      card.root.style.zIndex = y > 0 ? 2 : 1;
      card.root.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 560, easing: "cubic-bezier(.22,.9,.24,1)", delay: Math.min(step++ * 9, 120), fill: "backwards" })
        .addEventListener("finish", () => { card.root.style.zIndex = ""; });
    }
  }

  /** Shows `items`; returns {moved, entered}. `change` false draws without badges (the first answer, another visitor). */
  function show(items, change) {
    const focused = document.activeElement;
    const result = { moved: 0, entered: 0 };
    play(() => {
      close();
      const keep = new Set(items.map((item) => item.id));
      for (const [id, card] of [...cards]) {
        if (keep.has(id)) continue;
        card.root.remove();
        cards.delete(id);
      }
      list.querySelector(".empty")?.remove();
      items.forEach((item, index) => {
        let card = cards.get(item.id);
        const isNew = !card;
        if (isNew) cards.set(item.id, (card = make(item)));
        const before = card.place;
        card.item = item;
        card.place = index + 1;
        card.root.classList.toggle("viewed", item.viewed === true);
        text(card.rank, String(card.place));
        text(card.price, money(item.price));
        card.said.replaceChildren(...tags(item.told));
        card.said.hidden = !card.said.children.length;
        card.look.setAttribute("aria-label", `${pretty(item.title)}, number ${card.place}. View.`);
        if (before !== card.place) { if (isNew) result.entered += 1; else result.moved += 1; }
        mark(card, before, isNew, change);
        if (list.children[index] !== card.root) list.insertBefore(card.root, list.children[index] ?? null);
      });
      if (!items.length) list.append(h("li", { class: "empty quiet" }, "Nothing to show yet."));
    });
    if (focused && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
    return result;
  }

  return { show, close, order: () => [...cards.values()].sort((a, b) => a.place - b.place).map((card) => card.item.id), isOpen: () => openId !== null, titleOf: (id) => cards.get(id)?.item.title ?? null, card: (id) => cards.get(id)?.root ?? null };
}
