// The pages' own calls to the node: everything that waits for an answer. Beacons leave through /nextpaint.js, as in any shop.

const RETRIES = 3;
const RETRY_S = 0.2;

export class ApiError extends Error {
  constructor(status, body) {
    const error = body && typeof body === "object" && body.error && typeof body.error === "object" ? body.error : {};
    super(String(error.what ?? (typeof body?.error === "string" ? body.error : `HTTP ${status}`)));
    this.status = status;
    this.where = error.where ? String(error.where) : "";
    this.cure = error.cure ? String(error.cure) : "";
    this.line = Number.isInteger(error.line) ? error.line : null;
    this.column = Number.isInteger(error.column) ? error.column : null;
  }
}

export const freshId = () => (globalThis.crypto?.randomUUID ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(""));

/** `who()` gives the anonymous id that calls are made for. */
export function createClient({ key = null, who }) {
  let position = null; // of the last acknowledged event: a later decision reads at least this position

  async function call(method, path, body) {
    const headers = { ...(body === undefined ? {} : { "content-type": "application/json" }), ...(key ? { authorization: `Bearer ${key}` } : {}) };
    const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const raw = await response.text();
    let parsed = null;
    try { parsed = raw ? JSON.parse(raw) : null; } catch { /* not JSON: the status says enough */ }
    if (!response.ok) throw Object.assign(new ApiError(response.status, parsed), { retryAfterS: Number(response.headers.get("retry-after")) || 0 });
    return parsed;
  }

  /** One event, answered when it is on disk. Sent again after a refusal, with the same messageId: the node keeps one. */
  async function track(event, properties) {
    const body = { anonymousId: who(), messageId: freshId(), event, properties, timestamp: new Date().toISOString(), context: { page: { path: location.pathname } } };
    for (let attempt = 0; ; attempt += 1) {
      try {
        const answer = await call("POST", "/v1/track", body);
        if (answer?.position) position = answer.position;
        return answer;
      } catch (error) {
        const again = !(error instanceof ApiError) || error.status === 429 || error.status >= 500;
        if (!again || attempt >= RETRIES) throw error;
        await new Promise((wake) => setTimeout(wake, (error.retryAfterS || RETRY_S * 2 ** attempt) * 1000 * (0.75 + Math.random() / 2)));
      }
    }
  }

  const decide = (surface, request) => call("POST", `/v1/decide/${encodeURIComponent(surface)}`, { anonymousId: who(), ...(position ? { position } : {}), ...request });
  return { call, track, decide, forget: () => { position = null; } };
}

/** The script that shops use, for beacons and the visitor's id. */
export function loadNextpaint(key) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    if (key) script.dataset.writeKey = key;
    script.src = "/nextpaint.js";
    script.addEventListener("load", () => resolve(window.nextpaint));
    script.addEventListener("error", () => reject(new Error("/nextpaint.js could not be loaded")));
    document.head.append(script);
  });
}

/** A key for pages that are opened beyond loopback: /shop#key=... keeps it in this tab and takes it out of the address. */
export function keyOfThisTab() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  try {
    if (given) {
      sessionStorage.setItem("nextpaint_key", given);
      history.replaceState(null, "", location.pathname + location.search);
    }
    return given ?? sessionStorage.getItem("nextpaint_key");
  } catch {
    return given;
  }
}
