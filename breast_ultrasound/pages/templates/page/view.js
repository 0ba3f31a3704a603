// How the picture lies in its view: zoomed and moved, with all that is drawn on it.

import { desk, frameOnDisplay } from "./desk.js";
import { part } from "./parts.js";

const MOST = 16;
let scale = 1;
let left = 0;
let top = 0;
let scan = null;

// Another scan is shown whole, another frame as the one before it.
desk.addEventListener("turned", () => {
  if (!desk.current) return;
  const { width, height } = frameOnDisplay();
  part("view").style.setProperty("--ratio", width / height);
  part("drawing").setAttribute("viewBox", `0 0 ${width} ${height}`);
  if (desk.current !== scan) fit();
  scan = desk.current;
  place();
});

export function fit() {
  [scale, left, top] = [1, 0, 0];
  place();
}

// Zooms so that what lies at a point of the window, by default in the middle of the view, stays there.
export function zoom(factor, at = middle()) {
  const before = scale;
  scale = Math.min(MOST, Math.max(1, scale * factor));
  const view = part("view").getBoundingClientRect();
  left += (1 - scale / before) * (at.x - view.left - left);
  top += (1 - scale / before) * (at.y - view.top - top);
  place();
}

export function pan(x, y) {
  left += x;
  top += y;
  place();
}

// The point of the frame, in its pixels, at a point of the window.
export function pointAt({ x, y }) {
  const canvas = part("mask");
  const box = canvas.getBoundingClientRect();
  return { x: ((x - box.left) * canvas.width) / box.width, y: ((y - box.top) * canvas.height) / box.height };
}

function middle() {
  const view = part("view").getBoundingClientRect();
  return { x: view.left + view.width / 2, y: view.top + view.height / 2 };
}

function place() {
  const { clientWidth, clientHeight } = part("view");
  left = Math.min(0, Math.max(clientWidth * (1 - scale), left));
  top = Math.min(0, Math.max(clientHeight * (1 - scale), top));
  part("stage").style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
  part("stage").style.setProperty("--scale", scale);
  part("view").classList.toggle("zoomed", scale > 1);
}
