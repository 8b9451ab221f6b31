// Calls to the management API of the proxy that served this page. The session's cookie goes along by itself.

const TIMEOUT = 10_000;

/** An answer that is no success; the message is what the problem document says, fields included. */
export class Refused extends Error {
  constructor(status, problem) {
    const fields = Object.entries(problem?.errors ?? {}).map(([field, faults]) => `${field} ${[faults].flat().join(", ")}`);
    super([problem?.detail ?? `The proxy answered ${status}.`, ...fields].join(" "));
    this.status = status;
  }
}

/** The JSON document of an answer; null for one without a body. */
async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    body: body === undefined ? undefined : JSON.stringify(body),
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
    signal: AbortSignal.timeout(TIMEOUT),
  });
  const text = await answer.text();
  let document = null;
  try {
    document = text === "" ? null : JSON.parse(text);
  } catch {
    // Somebody between here and the proxy; the status says enough.
  }

  // The proxy's health is a document with any status.
  if (!answer.ok && document?.service_name === undefined)
    throw new Refused(answer.status, document);
  return document;
}

const at = (...segments) => "/" + segments.map(encodeURIComponent).join("/");

export const api = {
  who: () => call("GET", "/session"),
  signIn: key => call("POST", "/session", { key }),
  signOut: () => call("DELETE", "/session"),
  health: () => call("GET", "/health"),
  stats: () => call("GET", "/stats"),
  services: async () => (await call("GET", "/services")).services,
  service: name => call("GET", at("services", name)),
  shares: async name => (await call("GET", at("stats", name))).instances,
  setState: (service, id, state) => call("PATCH", at("services", service, id), { state }),
  setCircuit: (service, id, state) => call("POST", at("services", service, id, "circuit"), { state }),
};
