// Judging frames: the class, what is kept of them, and which comes next.

import { desk, emit, frameOnDisplay, show } from "./desk.js";
import * as editing from "./editing.js";
import { bind } from "./keys.js";
import { count, notice, part } from "./parts.js";
import * as tools from "./tools.js";
import { fit, zoom } from "./view.js";

const LESIONS = ["benign", "malignant"];
const caseAt = (scan, { number }) => `/scans/${scan.key}/${number}/case`;

desk.addEventListener("turned", async () => {
  const [scan, frame] = [desk.current, frameOnDisplay()];
  if (!frame) return;
  editing.open(frame);
  if (frame.draft || !frame.kept) return;
  const response = await fetch(caseAt(scan, frame)).catch(() => null);
  if (!response?.ok) return notice("What was kept of this frame cannot be read.");
  const { edges } = await response.json();
  frame.draft ??= { ...editing.newDraft(edges), kept: edges };
  scan.last = edges;
  if (frame === frameOnDisplay()) editing.open(frame);
});

// The mask follows the threshold until it is corrected or kept.
desk.addEventListener("answered", ({ detail: { edges } }) => {
  const frame = frameOnDisplay();
  frame.network = edges;
  if (frame.kept || frame.draft?.done.length) return;
  frame.draft = editing.newDraft(edges);
  editing.open(frame);
});

// ── Class ────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Of an image without a mark none but normal fits, of one with marks what the network holds for more probable.
function classOf({ chosen, kept, classes, draft }) {
  if (chosen || kept) return chosen ?? kept.class;
  if (!draft?.edges.length) return "normal";
  return Object.keys(classes).length ? LESIONS.reduce((one, other) => (classes[other] > classes[one] ? other : one)) : "lesion";
}

function choose(name) {
  frameOnDisplay().chosen = name;
  notice("");
  showClass();
}

function showClass() {
  const frame = frameOnDisplay();
  for (const button of document.querySelectorAll("[data-class]")) button.ariaPressed = String(Boolean(frame?.draft) && button.dataset.class === classOf(frame));
  part("accept").disabled = !frame?.draft;
}

editing.onChange(() => {
  notice("");
  showClass();
});

// ── Accepting ────────────────────────────────────────────────────────────────────────────────────────────────────────

async function accept() {
  const [scan, frame] = [desk.current, frameOnDisplay()];
  if (!frame?.draft) return notice("The mask is still on its way.");
  const { edges } = frame.draft;
  const body = JSON.stringify({ class: classOf(frame), edges });
  const response = await fetch(caseAt(scan, frame), { method: "PUT", body, headers: { "content-type": "application/json" } }).catch(() => null);
  if (!response) return notice("Not kept: the page no longer answers. Start it again with the same --save.");
  const reply = await response.json();
  if (!response.ok) return notice(`Not kept: ${reply.detail}`);
  frame.draft.kept = scan.last = edges;
  part("folder-count").textContent = reply.count;
  for (const other of desk.scans) markAsKept(other, frame, reply.kept);
  if (frame === frameOnDisplay()) next();
}

// Frames of the same pixels are one case.
function markAsKept(scan, kept, verdict) {
  for (const frame of scan.frames.filter(({ pixels }) => pixels === kept.pixels)) {
    frame.kept = verdict;
    if (frame !== kept && frame !== frameOnDisplay()) frame.draft = null;
    emit("kept", scan);
  }
}

// Whether all are kept, so that the next to come is shown.
let isWaiting = false;

// Goes on with the first frame that is not kept, from the one on display down the list and then from its top.
function next() {
  const all = desk.scans.flatMap((scan) => scan.frames.map((frame) => ({ scan, frame })));
  const place = all.findIndex(({ frame }) => frame === frameOnDisplay());
  const following = [...all.slice(place + 1), ...all.slice(0, place)].find(({ frame }) => !frame.kept);
  if (following) return show(following.scan, following.frame.number);
  isWaiting = true;
  notice("All are kept.");
}

desk.addEventListener("turned", () => { isWaiting = false; });
desk.addEventListener("added", () => { if (isWaiting) next(); });

function showCount() {
  const frames = desk.scans.flatMap((scan) => scan.frames);
  part("kept-count").textContent = `${frames.filter((frame) => frame.kept).length} of ${count(frames.length, "image")} kept`;
}

for (const event of ["added", "removed", "kept"]) desk.addEventListener(event, showCount);

// A mask of the same scan, which the frames after it mostly resemble.
function carryOver() {
  if (!desk.current.last) return notice("No mask of this scan has been kept yet.");
  if (editing.isOpen()) editing.replace(desk.current.last);
}

function takeNetworks() {
  if (editing.isOpen() && frameOnDisplay().network) editing.replace(frameOnDisplay().network);
}

addEventListener("beforeunload", (event) => {
  const isUnkept = ({ draft }) => draft?.done.length && draft.edges !== draft.kept;
  if (desk.scans.some((scan) => scan.frames.some(isUnkept))) event.preventDefault();
});

// ── Controls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const CONTROLS = {
  undo: editing.undo,
  redo: editing.redo,
  accept,
  carry: carryOver,
  network: takeNetworks,
  "zoom-in": () => zoom(1.5),
  "zoom-out": () => zoom(1 / 1.5),
  fit,
};
for (const [id, act] of Object.entries(CONTROLS)) part(id).onclick = act;
for (const button of document.querySelectorAll("[data-class]")) button.onclick = () => choose(button.dataset.class);

bind({
  m: () => tools.choose("move"),
  b: () => tools.choose("brush"),
  e: () => tools.choose("eraser"),
  p: () => tools.choose("polygon"),
  f: () => tools.choose("fill"),
  d: () => tools.choose("delete"),
  "[": () => tools.resize(0.9),
  "]": () => tools.resize(1.1),
  Enter: tools.closePolygon,
  Escape: tools.dropPolygon,
  z: editing.undo,
  y: editing.redo,
  "Ctrl+z": editing.undo,
  "Ctrl+y": editing.redo,
  "Ctrl+Z": editing.redo,
  l: carryOver,
  r: takeNetworks,
  1: () => choose("benign"),
  2: () => choose("malignant"),
  3: () => choose("normal"),
  4: () => choose("lesion"),
  a: (event) => event.repeat || accept(),
});
