// A shelf of posters: renders a list and lets posters travel when the order changes (first, last, invert, play).

import { calm, h, text } from "./dom.js";
import { tags } from "./told.js";

export const posterOf = (film, words = true) => `/posters/${encodeURIComponent(film.id)}.svg?${new URLSearchParams({ title: film.title, kind: film.kind, maker: film.maker, ...(words ? {} : { words: "0" }) })}`;
export const minutes = (value) => (value >= 60 ? `${Math.floor(value / 60)} h ${String(value % 60).padStart(2, "0")}` : `${value} min`);

/** `pick(film)` is called when a poster is chosen. `ranked`: whether places and moves are shown. */
export function shelf(list, { pick, ranked = true }) {
  const posters = new Map(); // id -> {root, film, place, ...}
  let on = null;

  function make(film) {
    const rank = ranked ? h("span", { class: "rank", "aria-hidden": "true" }) : null;
    const reached = h("span", { class: "reached", hidden: true }, h("i"));
    const picture = h("span", { class: "picture" }, h("img", { src: posterOf(film), alt: "", width: 200, height: 300, decoding: "async" }), rank, reached);
    const button = h("button", { type: "button", onclick: () => pick(poster.film) }, picture, h("span", { class: "line" }, `${film.kind} · ${minutes(film.runtime)}`));
    const said = h("p", { class: "said-of", hidden: true });
    const poster = { root: h("li", { class: "poster", data: { id: film.id, kind: film.kind } }, button, said), said, picture, button, rank, reached, film, place: 0, badge: null };
    return poster;
  }

  function badge(poster, before, isNew) {
    poster.badge?.remove();
    const moved = before - poster.place;
    const said = isNew ? "new" : moved > 0 ? `+${moved}` : moved < 0 ? `−${-moved}` : "";
    poster.badge = said ? h("span", { class: `badge ${isNew ? "new" : moved > 0 ? "up" : "down"}` }, said) : null;
    if (poster.badge) poster.picture.append(poster.badge);
  }

  function play(change) {
    const before = new Map([...posters].map(([id, poster]) => [id, [poster.root.offsetLeft, poster.root.offsetTop]]));
    change();
    if (calm()) return;
    let step = 0;
    for (const [id, { root }] of posters) {
      const old = before.get(id);
      const delay = Math.min(step++ * 12, 200);
      if (!old) {
        root.animate([{ opacity: 0, transform: "scale(.86)" }, { opacity: 1, transform: "none" }], { duration: 460, easing: "cubic-bezier(.2,.8,.2,1)", delay, fill: "backwards" });
        continue;
      }
      const x = old[0] - root.offsetLeft;
      const y = old[1] - root.offsetTop;
      if (x || y) root.animate([{ transform: `translate(${x}px, ${y}px)` }, { transform: "none" }], { duration: 640, easing: "cubic-bezier(.22,.9,.24,1)", delay, fill: "backwards" });
    }
  }

  /** Shows `films`; returns {moved, entered}. `marked`: with badges for what moved. */
  function show(films, marked) {
    const result = { moved: 0, entered: 0 };
    const focused = document.activeElement;
    play(() => {
      const kept = new Set(films.map((film) => film.id));
      for (const [id, poster] of [...posters]) if (!kept.has(id)) { poster.root.remove(); posters.delete(id); }
      list.querySelector(".empty")?.remove();
      films.forEach((film, index) => {
        let poster = posters.get(film.id);
        const isNew = !poster;
        if (isNew) posters.set(film.id, (poster = make(film)));
        poster.said.replaceChildren(...tags(film.told));
        poster.said.hidden = !poster.said.children.length;
        const before = poster.place;
        Object.assign(poster, { film, place: index + 1 });
        text(poster.rank, String(poster.place));
        poster.button.setAttribute("aria-label", `${film.title}, ${film.kind}. Play.`);
        poster.reached.hidden = !(film.reached > 0.01 && film.reached < 0.995);
        poster.reached.firstChild.style.transform = `scaleX(${Math.min(1, film.reached || 0).toFixed(3)})`;
        if (before !== poster.place) { if (isNew) result.entered += 1; else result.moved += 1; }
        if (ranked && marked) badge(poster, before, isNew); else { poster.badge?.remove(); poster.badge = null; }
        poster.root.classList.toggle("on", film.id === on);
        if (list.children[index] !== poster.root) list.insertBefore(poster.root, list.children[index] ?? null);
      });
      if (!films.length) list.append(h("li", { class: "empty quiet" }, "Nothing to show."));
    });
    if (focused && focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
    return result;
  }

  function light(id) {
    on = id;
    for (const poster of posters.values()) poster.root.classList.toggle("on", poster.film.id === id);
  }

  return { show, light, order: () => [...posters.values()].sort((a, b) => a.place - b.place).map((poster) => poster.film.id) };
}
