// What pointers do on the picture, by tool; two fingers zoom and move it with any tool.

import { desk } from "./desk.js";
import * as editing from "./editing.js";
import { deleteLesion, fillHole, fillPolygon, paintLine } from "./mask.js";
import { notice, part } from "./parts.js";
import { pan, pointAt, zoom } from "./view.js";

// Pixels of the window around the first corner of a polygon where another one closes it.
const NEAR = 10;
const LEAST_RADIUS = 0.71;

const radius = () => Math.max(LEAST_RADIUS, part("size").value / 2);

const stroke = (value) => ({
  down(point) {
    editing.begin();
    this.last = point;
    this.move(point);
  },
  move(point) {
    editing.paint(paintLine, this.last, point, radius(), value);
    this.last = point;
  },
  up: editing.end,
  cancel: editing.cancel,
});

// Acts where the pointer is lifted, so that a second finger can still make it a zoom.
const click = (act) => ({
  down(point, at) { this.move(point, at); },
  move(point, at) { [this.point, this.at] = [point, at]; },
  up() { act(this.point, this.at); },
  cancel() {},
});

const hand = {
  down(_point, at) { this.last = at; },
  move(_point, at) {
    pan(at.x - this.last.x, at.y - this.last.y);
    this.last = at;
  },
  up() {},
  cancel() {},
};

const TOOLS = {
  move: hand,
  brush: stroke(1),
  eraser: stroke(0),
  polygon: click(addCorner),
  fill: click((point) => { if (!editing.edit(fillHole, point)) notice("Nothing is enclosed here. Close the outline first."); }),
  delete: click((point) => { if (!editing.edit(deleteLesion, point)) notice("There is no lesion here."); }),
};

let tool = "move";

export function choose(name) {
  tool = name;
  dropPolygon();
  part("view").dataset.tool = name;
  for (const button of document.querySelectorAll("button[data-tool]")) button.ariaPressed = String(button.dataset.tool === name);
}

export function resize(factor) {
  const size = Number(part("size").value);
  part("size").value = factor > 1 ? Math.max(size + 1, size * factor) : Math.min(size - 1, size * factor);
  showSize();
}

function showSize() {
  part("size-value").value = `${part("size").value} px`;
  part("cursor").setAttribute("r", radius());
}

// ── Polygon ──────────────────────────────────────────────────────────────────────────────────────────────────────────

let corners = [];

function addCorner(point, at) {
  const first = corners[0]?.at;
  if (corners.length > 2 && Math.hypot(first.x - at.x, first.y - at.y) < NEAR) return closePolygon();
  corners.push({ ...point, at });
  drawPolygon();
}

export function closePolygon() {
  if (corners.length > 2) editing.edit(fillPolygon, corners);
  dropPolygon();
}

export function dropPolygon() {
  corners = [];
  drawPolygon();
}

// With a line to the pointer.
function drawPolygon(point = corners.at(-1)) {
  const line = corners.length ? [...corners, point] : [];
  part("polygon").setAttribute("points", line.map(({ x, y }) => `${x},${y}`).join(" "));
}

// ── Pointers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const view = part("view");
// Where each pointer that is down is in the window.
const pointers = new Map();
// The tool at work; null between strokes, and while two fingers zoom.
let active = null;
let isPenInUse = false;

// The eraser end of a pen erases, the middle button of a mouse moves.
function toolOf(event) {
  if (event.button === 1) return TOOLS.move;
  return event.button === 5 ? TOOLS.eraser : TOOLS[tool];
}

const positionOf = (event) => ({ x: event.clientX, y: event.clientY });

view.addEventListener("pointerdown", (event) => {
  isPenInUse ||= event.pointerType === "pen";
  // The ball of the hand that holds the pen.
  if (isPenInUse && event.pointerType === "touch") return;
  if (event.button === 2 || pointers.size === 2) return;
  event.preventDefault();
  // Keys are for the picture then, no longer for the button that chose the tool.
  view.focus({ preventScroll: true });
  view.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, positionOf(event));
  if (pointers.size === 2) {
    active?.cancel();
    active = null;
  } else if (editing.isOpen()) {
    active = toolOf(event);
    active.down(pointAt(positionOf(event)), positionOf(event));
  }
});

view.addEventListener("pointermove", (event) => {
  const point = pointAt(positionOf(event));
  part("cursor").setAttribute("cx", point.x);
  part("cursor").setAttribute("cy", point.y);
  drawPolygon(point);
  if (!pointers.has(event.pointerId)) return;
  if (pointers.size === 2) pinch(event);
  // A fast pointer moves several times in a frame of the screen.
  else for (const each of event.getCoalescedEvents?.() ?? [event]) active?.move(pointAt(positionOf(each)), positionOf(each));
  pointers.set(event.pointerId, positionOf(event));
});

function pinch(event) {
  const [moved, still] = [positionOf(event), [...pointers].find(([id]) => id !== event.pointerId)[1]];
  const before = pointers.get(event.pointerId);
  const apart = (one) => Math.hypot(one.x - still.x, one.y - still.y);
  pan((moved.x - before.x) / 2, (moved.y - before.y) / 2);
  zoom(apart(moved) / Math.max(1, apart(before)), { x: (moved.x + still.x) / 2, y: (moved.y + still.y) / 2 });
}

for (const kind of ["pointerup", "pointercancel"]) {
  view.addEventListener(kind, (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (kind === "pointerup") active?.up();
    else active?.cancel();
    active = null;
  });
}

// A stroke that is under way belongs to the frame that it began on.
desk.addEventListener("turned", () => {
  active?.up();
  active = null;
  dropPolygon();
});

view.addEventListener("dblclick", closePolygon);

view.addEventListener("wheel", (event) => {
  event.preventDefault();
  const factor = Math.exp(-event.deltaY / 500);
  if (!event.ctrlKey && (tool === "brush" || tool === "eraser")) resize(factor);
  else zoom(factor, positionOf(event));
}, { passive: false });

for (const button of document.querySelectorAll("button[data-tool]")) button.onclick = () => choose(button.dataset.tool);
part("size").oninput = showSize;
choose(tool);
showSize();
