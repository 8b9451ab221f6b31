// A small line of the last minutes, drawn as SVG. The figure stands beside it as text; the line is for the shape.

import { element, setText } from "./text.js";

/** Milliseconds that a line reaches back. */
export const SPAN = 5 * 60_000;

/** Two points further apart than this are not joined: nobody was looking in between. */
const GAP = 15_000;

const WIDTH = 150;
const HEIGHT = 34;
const SVG = "http://www.w3.org/2000/svg";

export class Chart {
  #points = [];
  #line;
  #svg;
  #value;
  #label;
  #format;

  constructor(label, format) {
    this.#label = label;
    this.#format = format;
    this.#line = document.createElementNS(SVG, "path");
    this.#svg = document.createElementNS(SVG, "svg");
    this.#svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.#svg.setAttribute("preserveAspectRatio", "none");
    this.#svg.setAttribute("role", "img");
    this.#svg.append(this.#line);
    this.#value = element("strong", {}, "–");
    this.node = element("div", { class: "chart" }, element("span", { class: "chart-label" }, label, " ", this.#value), this.#svg);
    this.draw(Date.now());
  }

  /** @param value null when there is nothing to measure, which leaves a gap. */
  add(now, value) {
    this.#points.push([now, value]);
    while (this.#points[0][0] < now - SPAN)
      this.#points.shift();
    setText(this.#value, value === null ? "–" : this.#format(value));
  }

  draw(now) {
    const seen = this.#points.filter(([, value]) => value !== null).map(([, value]) => value);
    const top = Math.max(...seen, 0) || 1;
    let path = "";
    let last = null;
    for (const [time, value] of this.#points) {
      if (value === null) {
        last = null;
        continue;
      }

      const x = (WIDTH - 2) * (1 - (now - time) / SPAN);
      const y = HEIGHT - 2 - (HEIGHT - 4) * value / top;
      const joined = last !== null && time - last < GAP;
      path += `${joined ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${joined ? "" : "h0.1"}`;
      last = time;
    }

    this.#line.setAttribute("d", path);
    this.#svg.setAttribute("aria-label", seen.length === 0
      ? `${this.#label}: nothing in the last five minutes`
      : `${this.#label} in the last five minutes: now ${this.#value.textContent}, at most ${this.#format(Math.max(...seen))}`);
  }
}
