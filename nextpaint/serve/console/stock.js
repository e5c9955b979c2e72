// The stock control: sets an item's stock and measures how long the answers still show it.

import { $, h, ms, pretty, text, tile } from "./dom.js";

const SURFACE = "home_carousel";
const WAIT_MAX_MS = 5000;

const frameNow = async (client) => (await client.call("GET", "/console/api/status")).positions?.frame ?? null;

export function stockControl(client) {
  const select = $("stock-item");
  const slider = $("stock");
  const said = $("gone");
  let items = [];

  const decide = () => client.decide(SURFACE, { inputs: { page: "home" }, limit: 20, profiled: false });

  async function fill() {
    let answer;
    try {
      answer = await decide();
    } catch (error) {
      $("t-stock").parentElement.hidden = error.status === 404; // an application without this surface has no stock to set
      if (error.status === 404) return;
      throw error;
    }
    items = (answer.items ?? []).map((entry) => ({ id: String(entry.id), title: entry.fields?.title ?? entry.id }));
    select.replaceChildren(...items.map((item, index) => h("option", { value: item.id }, `${index + 1}. ${pretty(item.title)}`)));
    picture();
  }

  function picture() {
    const item = items.find((each) => each.id === select.value);
    $("stock-tile").hidden = !item;
    if (item) $("stock-tile").src = tile(item.id, item.title);
  }

  async function set() {
    const item = items.find((each) => each.id === select.value);
    if (!item) return;
    const stock = Number(slider.value);
    $("stock-set").disabled = true;
    said.replaceChildren("Setting…");
    try {
      const before = await decide();
      const frameBefore = await frameNow(client);
      const wasShown = before.items?.some((each) => String(each.id) === item.id);
      const started = performance.now();
      const asked = client.call("PUT", "/v1/items", { items: [{ item_id: item.id, stock }] });
      let answer = before;
      let gone = false;
      for (let first = true; first || (!gone && performance.now() - started < WAIT_MAX_MS); first = false) {
        answer = await decide();
        gone = !answer.items?.some((each) => String(each.id) === item.id);
        if (!gone && stock > 0) break;
      }
      const took = performance.now() - started;
      const frameAfter = await frameNow(client);
      await asked;
      if (gone && wasShown) {
        const frames = frameBefore === null ? 0 : Math.max(1, frameAfter - frameBefore);
        said.replaceChildren(`Time to gone: ${ms(took)}${frames ? `, ${frames} frame${frames === 1 ? "" : "s"}` : ""} `, h("br"), h("small", {}, `${pretty(item.title)}: stock ${stock}`));
      } else {
        said.replaceChildren(`Stock ${stock} is on disk and in force `, h("br"), h("small", {}, gone ? `${pretty(item.title)} was not shown` : stock > 0 ? `${pretty(item.title)} may be shown again` : `still shown after ${ms(took)}`));
      }
    } catch (error) {
      text(said, `Not set: ${error.message}`);
    } finally {
      $("stock-set").disabled = false;
    }
  }

  slider.addEventListener("input", () => text($("stock-value"), slider.value));
  select.addEventListener("change", picture);
  $("stock-set").addEventListener("click", set);
  $("stock-again").addEventListener("click", () => fill().catch((error) => text(said, error.message)));
  return { fill };
}
