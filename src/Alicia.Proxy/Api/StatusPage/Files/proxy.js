// The top of the page: how the proxy itself is.

import { count, element, plural, rate, setBadge, setText, span } from "./text.js";

const KINDS = { healthy: "good", degraded: "warn", unhealthy: "bad" };

const FIGURES = [
  ["Requests/s", (_, s) => rate(s.requests_per_second)],
  ["In flight", (_, s) => count(s.active_connections)],
  ["Failed", (_, s) => count(s.failed_requests)],
  ["Rejected", (_, s) => count(s.rejected_requests)],
  ["Callers left", (_, s) => count(s.aborted_requests)],
  ["Instances", (_, s) => count(s.total_instances)],
  ["Unhealthy", (_, s) => count(s.unhealthy_instances)],
  ["Up for", h => span(h.uptime)],
  ["Version", h => h.version],
];

const $ = id => document.getElementById(id);

export class Proxy {
  #values = FIGURES.map(([title]) => {
    const value = element("dd", {}, "–");
    $("figures").append(element("div", {}, element("dt", {}, title), value));
    return value;
  });

  /** @param stats null while nobody is signed in. */
  update(health, stats) {
    setBadge($("health"), KINDS[health.status] ?? "idle", health.status);
    document.title = health.status === "healthy" ? "Alicia.Proxy" : `${health.status} · Alicia.Proxy`;
    const reasons = health.reasons ?? [];
    if ([...$("reasons").children].map(r => r.textContent).join("\n") !== reasons.join("\n"))
      $("reasons").replaceChildren(...reasons.map(reason => element("li", {}, reason)));
    $("reasons").hidden = reasons.length === 0;
    $("figures").hidden = stats === null;
    if (stats !== null)
      FIGURES.forEach(([, of], i) => setText(this.#values[i], of(health, stats)));
    $("figures").title = stats === null ? "" : `${plural(stats.total_requests, "request")} since the start`;
  }

  /** Nobody answers. */
  silent() {
    setBadge($("health"), "bad", "no answer");
    document.title = "no answer · Alicia.Proxy";
  }

  clear() {
    $("figures").hidden = true;
  }
}
