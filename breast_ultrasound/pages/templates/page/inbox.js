// Scans that are sent to be segmented, one after the other.

import { desk, emit, show } from "./desk.js";
import { announce, part, report } from "./parts.js";

let queue = Promise.resolve();

// Whether a frame of the files that were taken last has been put on display.
let isShown = false;

export function take(files) {
  isShown = false;
  for (const file of files) queue = queue.then(() => send(file)).catch(() => report(`${file.name}: the page no longer answers. Start it again.`));
}

export async function sample() {
  const response = await fetch("/synthetic-phantom.jpg");
  take([new File([await response.blob()], "synthetic-phantom.jpg")]);
}

async function send(file) {
  announce(`${file.name}: reading …`);
  const query = new URLSearchParams({ name: file.name, any_modality: part("any-modality").checked });
  const response = await fetch(`/scans?${query}`, { method: "POST", body: file });
  if (!response.ok) {
    report((await response.json()).detail);
    return announce("");
  }
  let scan = null;
  for await (const line of lines(response.body)) {
    if (line.error) report(line.error);
    else if (line.mask) leaveOut(line.mask);
    else if (line.note) note(scan, line.note);
    else if (line.key) scan = { ...line, frames: [], notes: [] };
    else {
      add(scan, line);
      if (scan.length > 1) announce(`${scan.name}: frame ${scan.frames.length} of ${scan.length}`);
    }
  }
  if (scan?.frames.length) emit("complete", scan);
  announce("");
}

const masks = [];

function leaveOut(name) {
  masks.push(name);
  const more = masks.length > 3 ? ` and ${masks.length - 3} more` : "";
  part("masks").textContent = `Left out, since they are masks and no scans: ${masks.slice(0, 3).join(", ")}${more}.`;
}

function note(scan, text) {
  scan.notes.push(text);
  emit("added", scan);
}

let arrived = 0;

// The first frame of what was dropped is shown; of cases that were kept before, the first that was not.
function add(scan, frame) {
  frame.arrived = arrived++;
  scan.frames.push(frame);
  if (scan.frames.length === 1) desk.scans.push(scan);
  emit("added", scan);
  if (desk.current && (isShown || frame.kept)) return;
  isShown = !frame.kept;
  show(scan, frame.number);
}

async function* lines(body) {
  let rest = "";
  for await (const text of chunks(body.pipeThrough(new TextDecoderStream()))) {
    const parts = (rest + text).split("\n");
    rest = parts.pop();
    for (const line of parts) yield JSON.parse(line);
  }
}

// Not every browser iterates over a stream.
async function* chunks(stream) {
  const reader = stream.getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}
