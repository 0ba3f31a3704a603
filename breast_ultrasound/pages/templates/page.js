const part = (id) => document.getElementById(id);
const MOST_ROWS = 20;
// Milliseconds without a step of the slider before it asks.
const WAIT = 120;
const scans = [];
let current = null;
let frame = 1;
let timer = 0;
let asking = new AbortController();

const threshold = () => part("threshold").value;
const percent = (share) => `${Math.round(100 * share)}%`;
const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

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
    else if (line.key) scan = line;
    else {
      add(scan, line);
      if (scan.length > 1) announce(`${scan.name}: frame ${scan.frames.length} of ${scan.length}`);
    }
  }
  announce("");
}

async function sample() {
  const response = await fetch("/synthetic-phantom.jpg");
  take([new File([await response.blob()], "synthetic-phantom.jpg")]);
}

const masks = [];

function leaveOut(name) {
  masks.push(name);
  const more = masks.length > 3 ? ` and ${masks.length - 3} more` : "";
  part("masks").textContent = `Left out, since they are masks and no scans: ${masks.slice(0, 3).join(", ")}${more}.`;
}

function note(scan, text) {
  scan.notes.push(text);
  if (scan === current) update();
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
    Object.assign(scan, { frames: [added], notes: [] });
    scans.push(scan);
    list(scan);
    show(scan, 1);
  } else {
    scan.frames.push(added);
    if (scan === current) update();
  }
  scan.summary.textContent = summary(scan);
}

// What the network found in a scan at the fitted threshold, in a line: that of a clip is the mean of its frames.
function summary({ frames }) {
  const classes = Object.keys(frames[0].classes).map((name) => [mean(frames.map((each) => each.classes[name])), name]);
  const [share, name] = classes.sort(([one], [other]) => other - one)[0] ?? [];
  const of = frames.length > 1 ? `lesion on ${frames.filter((each) => each.lesions).length} of ${frames.length} frames` : count(frames[0].lesions, "lesion");
  const dice = `predicted Dice ${mean(frames.map((each) => each.predicted_dice)).toFixed(2)}`;
  return [name && `${name} ${percent(share)}`, of, dice].filter(Boolean).join(" · ");
}

function list(scan) {
  const item = document.createElement("li");
  scan.button = document.createElement("button");
  scan.summary = document.createElement("span");
  scan.button.append(scan.name, scan.summary);
  scan.button.onclick = () => show(scan, 1);
  item.append(scan.button);
  part("scans").append(item);
}

async function remove() {
  const place = scans.indexOf(current);
  clearTimeout(timer);
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
  ask();
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
  part("notes").textContent = current.notes.join(" ");
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

// Takes back the question before, which the server then drops, too.
function ask(wait = 0) {
  clearTimeout(timer);
  asking.abort();
  asking = new AbortController();
  timer = setTimeout(draw, wait, asking.signal);
}

async function draw(signal) {
  const { key, name } = current;
  const { width, height } = current.frames[frame - 1];
  const asked = `${key} ${frame} ${threshold()}`;
  const response = await fetch(`/scans/${key}/${frame}?threshold=${threshold()}`, { signal }).catch(() => null);
  const answer = response?.ok ? await response.json().catch(() => null) : null;
  if (signal.aborted || !answer) return;
  const found = answer.count > MOST_ROWS ? `The ${MOST_ROWS} largest of ${answer.count} lesions` : count(answer.count, "lesion");
  part("picture").alt = `${name}, frame ${frame}: ${count(answer.count, "lesion")}`;
  part("drawing").setAttribute("viewBox", `0 0 ${width} ${height}`);
  part("outline").setAttribute("d", answer.contour);
  part("summary").textContent = `${answer.count ? found : "No lesion"} at this threshold, predicted Dice ${answer.predicted_dice.toFixed(2)}.`;
  part("lesions").replaceChildren(...answer.lesions.slice(0, MOST_ROWS).map(row));
  part("desk").dataset.drawn = asked;
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
  if (current) { update(); ask(); }
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
part("threshold").oninput = () => { update(); ask(WAIT); };
part("fitted").onclick = () => set(part("threshold").dataset.fitted);
part("contours").onchange = hide;
part("copy").onclick = copy;
part("remove").onclick = remove;
part("sample").onclick = sample;

// Nobody else has the keys.
addEventListener("pagehide", () => { for (const { key } of scans) fetch(`/scans/${key}`, { method: "DELETE", keepalive: true }); });

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
