// The frame on display: its picture, and what the network answers for it at a threshold.

import { desk, emit, frameOnDisplay } from "./desk.js";
import { announce, count, part, percent, report } from "./parts.js";

const MOST_ROWS = 20;
let timer = 0;
let asking = new AbortController();

const threshold = () => part("threshold").value;

desk.addEventListener("turned", () => {
  part("desk").hidden = !desk.current;
  clearTimeout(timer);
  if (!desk.current) return;
  update();
  turn();
  ask();
});
desk.addEventListener("added", ({ detail: scan }) => { if (scan === desk.current) update(); });

// Clears the contour and the sizes of the frame before.
function turn() {
  const address = `/scans/${desk.current.key}/${desk.number}.png`;
  if (part("picture").src.endsWith(address)) return;
  part("picture").src = address;
  part("outline").setAttribute("d", "");
  part("summary").textContent = "";
  part("lesions").replaceChildren();
}

// Fills what needs no request.
function update() {
  const { name, notes, length, frames } = desk.current;
  const { classes, is_unlike: isUnlike } = frameOnDisplay();
  part("name").textContent = name;
  part("notes").textContent = notes.join(" ");
  part("paging").hidden = length < 2;
  part("frame").max = frames.length;
  part("frame").value = desk.number;
  part("frame-value").value = `${desk.number} of ${frames.length}`;
  part("threshold-value").value = Number(threshold()).toFixed(2);
  const shares = Object.entries(classes).map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  const doubt = isUnlike && "This image is unlike those that the network was tested on: doubt its mask and class.";
  part("caption").textContent = [shares && `Class by the network: ${shares}.`, doubt].filter(Boolean).join(" ");
  const query = new URLSearchParams([...desk.scans.map((scan) => ["key", scan.key]), ["threshold", threshold()]]);
  for (const link of document.querySelectorAll("#downloads a")) link.href = `/${link.dataset.what}?${query}`;
}

// Takes back the question before, which the server then drops, too.
function ask(wait = 0) {
  clearTimeout(timer);
  asking.abort();
  asking = new AbortController();
  timer = setTimeout(draw, wait, asking.signal);
}

async function draw(signal) {
  const { key, name } = desk.current;
  const { width, height, number } = frameOnDisplay();
  const asked = `${key} ${number} ${threshold()}`;
  const response = await fetch(`/scans/${key}/${number}?threshold=${threshold()}`, { signal }).catch(() => null);
  const answer = response?.ok ? await response.json().catch(() => null) : null;
  if (signal.aborted || !answer) return;
  const lesions = answer.count > MOST_ROWS ? `The ${MOST_ROWS} largest of ${answer.count} lesions` : count(answer.count, "lesion");
  part("picture").alt = `${name}, frame ${number}: ${count(answer.count, "lesion")}`;
  part("drawing").setAttribute("viewBox", `0 0 ${width} ${height}`);
  part("outline").setAttribute("d", answer.contour);
  part("summary").textContent = `${answer.count ? lesions : "No lesion"} at this threshold, predicted Dice ${answer.predicted_dice.toFixed(2)}.`;
  part("lesions").replaceChildren(...answer.lesions.slice(0, MOST_ROWS).map(row));
  part("desk").dataset.drawn = asked;
  emit("answered", answer);
}

// In millimetres where the scan states its scale.
const length = (mm, pixels) => (mm === null ? `${pixels.toFixed(0)} px` : `${mm.toFixed(1)} mm`);
const area = (mm2, pixels) => (mm2 === null ? `${pixels} px` : `${mm2.toFixed(1)} mm²`);

function row(lesion, place) {
  const { longest_mm, longest, perpendicular_mm, perpendicular, area_mm2 } = lesion;
  const sizes = [length(longest_mm, longest), length(perpendicular_mm, perpendicular), area(area_mm2, lesion.area)];
  const cells = [place + 1, ...sizes, percent(lesion.mean_probability), percent(lesion.peak_probability)];
  const line = document.createElement("tr");
  for (const text of cells) line.insertCell().textContent = text;
  return line;
}

// Takes a threshold, asking for its answer after so many milliseconds without another one.
export function set(value, wait = 0) {
  part("threshold").value = value;
  if (!desk.current) return;
  update();
  ask(wait);
}

export const step = (added) => set(Number(threshold()) + added);
export const setAsFitted = () => set(part("threshold").dataset.fitted);

export async function copy() {
  const picture = part("picture");
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  if (part("contours").checked) {
    pen.drawImage(part("mask"), 0, 0);
    pen.strokeStyle = getComputedStyle(part("outline")).stroke;
    pen.lineWidth = Math.max(1, Math.round(Math.max(canvas.width, canvas.height) / 300));
    pen.stroke(new Path2D(part("outline").getAttribute("d")));
  }
  const made = new Promise((done) => canvas.toBlob(done, "image/png"));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": made })]);
    announce("The picture is on the clipboard.");
  } catch {
    report("This browser gave no access to the clipboard.");
  }
}
