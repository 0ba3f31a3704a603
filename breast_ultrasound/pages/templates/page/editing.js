// The mask on display, which is the only truth about what is lesion, with its history; the canvas is painted from it.
//
// A frame's draft is { edges, done, undone, kept }: its mask, the masks before it, those that were undone, and the one that
// was kept.

import { colour, common, fromEdges, toEdges, union } from "./mask.js";
import { part } from "./parts.js";

const canvas = part("mask");
const pen = canvas.getContext("2d");
const listeners = [];

let sheet = null;
let draft = null;
// What has to be painted before the next frame of the screen; null where nothing has.
let dirty = null;

// Calls a function after every change of the mask.
export function onChange(listener) { listeners.push(listener); }

export const newDraft = (edges) => ({ edges, done: [], undone: [], kept: null });

// Puts the draft of a frame on display; null clears it.
export function open(frame) {
  draft = frame.draft ?? null;
  const { width, height, region } = frame;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const bounds = { left: region.left, top: region.top, right: region.left + region.width, bottom: region.top + region.height };
  sheet = { mask: new Uint8Array(width * height), width, height, bounds };
  set(draft?.edges ?? []);
}

export const isOpen = () => draft !== null;

// Changes the mask by an operation of mask.js, in one step or in several between `begin` and `end`.
export function paint(operation, ...values) {
  const rect = operation(sheet, ...values);
  if (rect) spoil(rect);
  return rect !== null;
}

export function begin() { draft.done.push(draft.edges); }

export function end() {
  const edges = toEdges(sheet.mask);
  if (String(edges) === String(draft.edges)) draft.done.pop();
  else [draft.edges, draft.undone] = [edges, []];
  changed();
}

export function cancel() { set(draft.done.pop()); }

export function edit(operation, ...values) {
  begin();
  const isChanged = paint(operation, ...values);
  end();
  return isChanged;
}

export function replace(edges) {
  begin();
  fromEdges(edges, sheet.mask);
  spoil({ left: 0, top: 0, right: sheet.width, bottom: sheet.height });
  end();
}

export function undo() { step(draft?.done, draft?.undone); }
export function redo() { step(draft?.undone, draft?.done); }

function step(from, to) {
  if (!from?.length) return;
  to.push(draft.edges);
  set(from.pop());
}

function set(edges) {
  if (draft) draft.edges = edges;
  fromEdges(edges, sheet.mask);
  spoil({ left: 0, top: 0, right: sheet.width, bottom: sheet.height });
  changed();
}

function changed() {
  part("undo").disabled = !draft?.done.length;
  part("redo").disabled = !draft?.undone.length;
  for (const listener of listeners) listener();
}

function spoil(rect) {
  if (!dirty) requestAnimationFrame(paintDirty);
  dirty = dirty ? union(dirty, rect) : rect;
}

// Whether a pixel is of the outline depends on those beside it.
function paintDirty() {
  const grown = { left: dirty.left - 1, top: dirty.top - 1, right: dirty.right + 1, bottom: dirty.bottom + 1 };
  const rect = common(grown, { left: 0, top: 0, right: sheet.width, bottom: sheet.height });
  dirty = null;
  if (rect.left >= rect.right || rect.top >= rect.bottom) return;
  const image = pen.createImageData(rect.right - rect.left, rect.bottom - rect.top);
  colour(sheet, rect, OUTLINE, INSIDE, new Uint32Array(image.data.buffer));
  pen.putImageData(image, rect.left, rect.top);
}

const [OUTLINE, INSIDE] = [255, 70].map((opacity) => {
  const shades = getComputedStyle(canvas).color.match(/\d+/g).slice(0, 3).map(Number);
  return new Uint32Array(new Uint8ClampedArray([...shades, opacity]).buffer)[0];
});
