const part = (id) => document.getElementById(id);
const MOST_ROWS = 20;
const scans = [];
let current = null;
let frame = 1;
let requests = 0;

const threshold = () => part("threshold").value;
const percent = (share) => `${Math.round(100 * share)}%`;

function announce(text) { part("status").textContent = text; }

function report(text) {
  const item = document.createElement("li");
  const close = document.createElement("button");
  close.textContent = "×";
  close.ariaLabel = "Dismiss";
  close.onclick = () => item.remove();
  item.append(text, close);
  part("errors").append(item);
}

// ── Scans sent ───────────────────────────────────────────────────────────────────────────────────────────────────────

let queue = Promise.resolve();

function take(files) {
  for (const file of files) queue = queue.then(() => send(file)).catch(() => report(`${file.name}: the page no longer answers. Start it again.`));
}

async function send(file) {
  announce(`${file.name}: reading …`);
  const response = await fetch(`/scans?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  if (!response.ok) {
    report((await response.json()).detail);
    return announce("");
  }
  let scan = null;
  for await (const line of lines(response.body)) {
    if (line.error) report(line.error);
    else if (line.key) scan = line;
    else {
      add(scan, line);
      if (scan.length > 1) announce(`${scan.name}: frame ${scan.frames.length} of ${scan.length}`);
    }
  }
  announce("");
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

function add(scan, added) {
  if (!scan.frames) {
    scan.frames = [];
    scans.push(scan);
    list(scan);
    scan.frames.push(added);
    return show(scan, 1);
  }
  scan.frames.push(added);
  if (scan === current) update();
}

function list(scan) {
  const item = document.createElement("li");
  scan.button = document.createElement("button");
  scan.button.textContent = scan.name;
  scan.button.onclick = () => show(scan, 1);
  item.append(scan.button);
  part("scans").append(item);
}

async function remove() {
  const place = scans.indexOf(current);
  await fetch(`/scans/${current.key}`, { method: "DELETE" });
  current.button.parentElement.remove();
  scans.splice(place, 1);
  if (scans.length) return show(scans[Math.min(place, scans.length - 1)], 1);
  current = null;
  part("desk").hidden = true;
}

// ── Scan on display ──────────────────────────────────────────────────────────────────────────────────────────────────

function show(scan, number) {
  current = scan;
  frame = Math.min(Math.max(1, number), scan.frames.length);
  for (const other of scans) other.button.toggleAttribute("aria-current", other === scan);
  scan.button.scrollIntoView({ block: "nearest" });
  part("desk").hidden = false;
  update();
  turn();
  draw();
}

// Clears the contour and the sizes of the frame before.
function turn() {
  const address = `/scans/${current.key}/${frame}.png`;
  if (part("picture").src.endsWith(address)) return;
  part("picture").src = address;
  part("outline").setAttribute("d", "");
  part("summary").textContent = "";
  part("lesions").replaceChildren();
}

// Fills what needs no request.
function update() {
  const { classes } = current.frames[frame - 1];
  part("name").textContent = current.name;
  part("paging").hidden = current.length < 2;
  part("frame").max = current.frames.length;
  part("frame").value = frame;
  part("frame-value").value = `${frame} of ${current.frames.length}`;
  part("threshold-value").value = Number(threshold()).toFixed(2);
  const shares = Object.entries(classes).map(([name, share]) => `${name} ${percent(share)}`).join(", ");
  part("caption").textContent = shares ? `Class by the network: ${shares}` : "";
  const query = new URLSearchParams([...scans.map((scan) => ["key", scan.key]), ["threshold", threshold()]]);
  for (const link of document.querySelectorAll("#downloads a")) link.href = `/${link.dataset.what}?${query}`;
}

async function draw() {
  const request = ++requests;
  const { key } = current;
  const { width, height } = current.frames[frame - 1];
  const response = await fetch(`/scans/${key}/${frame}?threshold=${threshold()}`);
  if (request !== requests || !response.ok) return;
  const { contour, lesions } = await response.json();
  part("picture").alt = `${current.name}, frame ${frame}: ${lesions.length} lesions`;
  part("drawing").setAttribute("viewBox", `0 0 ${width} ${height}`);
  part("outline").setAttribute("d", contour);
  const count = lesions.length > MOST_ROWS ? `The ${MOST_ROWS} largest of ${lesions.length} lesions.` : "";
  part("summary").textContent = lesions.length ? count : "No lesion at this threshold.";
  part("lesions").replaceChildren(...lesions.slice(0, MOST_ROWS).map(row));
  part("desk").dataset.drawn = `${key} ${frame} ${threshold()}`;
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

function move(step) { if (current) show(current, frame + step); }

function change(step) {
  const place = scans.indexOf(current) + step;
  if (scans[place]) show(scans[place], 1);
}

function set(value) {
  part("threshold").value = value;
  if (current) { update(); draw(); }
}

function hide() { part("drawing").toggleAttribute("hidden", !part("contours").checked); }

async function copy() {
  const picture = part("picture");
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const pen = canvas.getContext("2d");
  pen.drawImage(picture, 0, 0);
  if (part("contours").checked) {
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

// ── Controls ─────────────────────────────────────────────────────────────────────────────────────────────────────────

part("files").onchange = () => { take([...part("files").files]); part("files").value = ""; };
part("frame").oninput = () => show(current, Number(part("frame").value));
part("earlier").onclick = () => move(-1);
part("later").onclick = () => move(1);
part("threshold").oninput = () => { update(); draw(); };
part("fitted").onclick = () => set(part("threshold").dataset.fitted);
part("contours").onchange = hide;
part("copy").onclick = copy;
part("remove").onclick = remove;

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    part("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}

const KEYS = {
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  ArrowUp: () => change(-1),
  ArrowDown: () => change(1),
  "+": () => set(Number(threshold()) + 0.01),
  "-": () => set(Number(threshold()) - 0.01),
  0: () => set(part("threshold").dataset.fitted),
  h: () => part("contours").click(),
  c: copy,
};

document.addEventListener("keydown", (event) => {
  // Sliders have keys of their own.
  if (event.target.matches("input[type=range]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!current || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
