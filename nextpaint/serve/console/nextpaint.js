/* Nextpaint in a page. Use: <script src="/nextpaint.js" data-write-key="..."></script>
 *   nextpaint.page("Home"); nextpaint.track("Product Viewed", {product_id: "1"}); nextpaint.identify("u1", {plan: "gold"});
 *   const answer = await nextpaint.decide("home_carousel", {page: "home"});
 *   nextpaint.impressions(answer); nextpaint.click(answer, item_id);
 *   nextpaint.profiling(false): decisions without a profile; events are then sent without an id that outlives the page.
 * Promises: one anonymousId per browser (localStorage) while profiling is on; events leave in batches, at the latest
 * when the page is hidden; a refused batch is tried again with the same messageIds, so nothing is counted twice.
 */
(function () {
  "use strict";
  const script = document.currentScript;
  const base = new URL(script ? script.src : location.href).origin;
  const writeKey = (script && script.dataset.writeKey) || "";
  const FLUSH_MS = 50, QUEUE_MAX = 500, BATCH_MAX = 50, RETRY_MS_MAX = 30000;
  const queue = [];
  let timer = null, retryMs = 500, sending = false, memory = {};

  const store = {
    get(name) { try { return localStorage.getItem("nextpaint." + name); } catch { return memory[name] || null; } },
    set(name, value) { memory[name] = value; try { localStorage.setItem("nextpaint." + name, value); } catch { /* private mode */ } },
    remove(name) { delete memory[name]; try { localStorage.removeItem("nextpaint." + name); } catch { /* private mode */ } },
  };
  function uuid() {
    if (crypto.randomUUID) return crypto.randomUUID();
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
  }
  const pageOnlyId = uuid();
  function profiled() { return store.get("profiling") !== "off"; }
  function anonymousId() {
    if (!profiled()) return pageOnlyId;
    let id = store.get("anonymousId");
    if (!id) { id = uuid(); store.set("anonymousId", id); }
    return id;
  }
  function who() {
    const user = profiled() ? store.get("userId") : null;
    return user ? { userId: user, anonymousId: anonymousId() } : { anonymousId: anonymousId() };
  }

  function enqueue(call) {
    const context = { page: { path: location.pathname, title: document.title, url: location.origin + location.pathname },
                      library: { name: "nextpaint.js", version: "1" }, locale: navigator.language };
    if (!profiled()) context.consent = { categoryPreferences: { personalisation: false } };
    queue.push(Object.assign({ messageId: uuid(), timestamp: new Date().toISOString(), context }, who(), call));
    if (queue.length > QUEUE_MAX) queue.shift(); // the oldest goes: memory of a page that cannot reach its node is bounded
    if (queue.length >= BATCH_MAX) flush(); else schedule(FLUSH_MS);
  }
  function schedule(ms) { if (timer === null) timer = setTimeout(() => { timer = null; flush(); }, ms); }
  function headers() {
    const sent = { "Content-Type": "application/json" };
    if (writeKey) sent.Authorization = "Bearer " + writeKey;
    return sent;
  }
  function body(calls) { return JSON.stringify({ batch: calls, sentAt: new Date().toISOString(), writeKey }); }

  async function flush() {
    if (sending || queue.length === 0) return;
    sending = true;
    const calls = queue.slice(0, BATCH_MAX);
    let again = false;
    try {
      const answer = await fetch(base + "/v1/batch", { method: "POST", headers: headers(), body: body(calls) });
      again = answer.status === 429 || answer.status >= 500;
      if (answer.ok) api.position = (await answer.json()).position;
    } catch { again = true; }
    sending = false;
    if (!again) calls.forEach((call) => { const at = queue.indexOf(call); if (at >= 0) queue.splice(at, 1); });
    retryMs = again ? Math.min(retryMs * 2, RETRY_MS_MAX) : 500;
    if (queue.length) schedule(again ? retryMs * (0.5 + Math.random()) : FLUSH_MS);
  }
  function flushLast() { // the page goes away: a beacon cannot be retried, and its answer is not seen
    while (queue.length && navigator.sendBeacon) {
      const calls = queue.slice(0, BATCH_MAX);
      if (!navigator.sendBeacon(base + "/v1/batch", new Blob([body(calls)], { type: "text/plain" }))) return;
      queue.splice(0, calls.length);
    }
  }
  addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") flushLast(); });
  addEventListener("pagehide", flushLast);

  async function decide(surface, inputs, options) {
    const request = Object.assign({ inputs: inputs || {}, profiled: profiled() }, who(), options);
    const answer = await fetch(base + "/v1/decide/" + encodeURIComponent(surface),
      { method: "POST", headers: headers(), body: JSON.stringify(request) });
    const decided = await answer.json();
    if (!answer.ok) throw new Error(decided.error ? decided.error.what + " · " + decided.error.cure : "HTTP " + answer.status);
    return decided;
  }

  const api = {
    position: null, // of the last acknowledged batch: decide(surface, inputs, {position: nextpaint.position}) reads your writes
    track(event, properties) { enqueue({ type: "track", event, properties: properties || {} }); },
    page(name, properties) { enqueue({ type: "page", name, properties: properties || {} }); },
    identify(userId, traits) {
      if (userId && profiled()) store.set("userId", String(userId));
      enqueue({ type: "identify", traits: traits || {} });
    },
    reset() { store.remove("userId"); store.remove("anonymousId"); },
    decide,
    impressions(answer) {
      const items = answer.items.map((item) => ({ item_id: item.id, position: item.position }));
      enqueue({ type: "track", event: "Impression",
                properties: { decision_id: answer.decision_id, surface: answer.surface, items } });
    },
    click(answer, itemId, event) {
      const item = answer.items.find((each) => each.id === itemId) || {};
      enqueue({ type: "track", event: event || "Product Clicked",
                properties: { decision_id: answer.decision_id, surface: answer.surface, product_id: itemId, position: item.position } });
    },
    profiling(on) {
      store.set("profiling", on ? "on" : "off");
      if (!on) { store.remove("anonymousId"); store.remove("userId"); }
    },
    get profiled() { return profiled(); },
    get anonymousId() { return anonymousId(); },
    flush,
  };
  window.nextpaint = api;
})();
