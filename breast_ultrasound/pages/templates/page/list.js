// The list of scans: what the network says of each, at the fitted threshold, in an order to choose.

import { desk, emit, show } from "./desk.js";
import { count, part, percent } from "./parts.js";

// By what scans can be sorted: a number for each frame, the lowest first; the frame that comes first stands for its scan.
const ORDERS = {
  "as they came": (frame) => frame.arrived,
  "low predicted Dice": (frame) => frame.predicted_dice,
  "doubtful class": (frame) => -entropy(Object.values(frame.classes)),
  "doubtful whether there is a lesion": (frame) => Math.abs(frame.image_probability - 0.5),
  "unlike the network's images": (frame) => -frame.feature_distance,
};

const entropy = (shares) => -shares.reduce((sum, share) => sum + (share && share * Math.log(share)), 0);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

part("order").append(...Object.keys(ORDERS).map((name) => new Option(name)));
part("order").onchange = sort;

function sort() {
  const order = ORDERS[part("order").value];
  const places = new Map(desk.scans.map((scan) => [scan, Math.min(...scan.frames.map(order))]));
  desk.scans.sort((one, other) => places.get(one) - places.get(other));
  part("scans").append(...desk.scans.map((scan) => scan.item));
}

desk.addEventListener("added", ({ detail: scan }) => {
  if (!scan.item) list(scan);
  describe(scan);
});
desk.addEventListener("complete", () => { if (part("order").selectedIndex) sort(); });

function list(scan) {
  scan.item = document.createElement("li");
  scan.button = document.createElement("button");
  scan.summary = document.createElement("span");
  scan.button.append(scan.name, scan.summary);
  scan.button.onclick = () => show(scan, 1);
  scan.item.append(scan.button);
  part("scans").append(scan.item);
  part("sorting").hidden = false;
}

desk.addEventListener("kept", ({ detail: scan }) => describe(scan));

function describe(scan) {
  const kept = scan.frames.filter((frame) => frame.kept);
  const verdict = scan.frames.length > 1 ? `${kept.length} of ${scan.frames.length} kept` : kept[0] && `${kept[0].kept.verdict} as ${kept[0].kept.class}`;
  scan.summary.textContent = [kept.length && `✓ ${verdict}`, summary(scan)].filter(Boolean).join(" · ");
}

// What the network says of a scan, in a line: that of a clip is the mean of its frames.
function summary({ frames }) {
  const classes = Object.keys(frames[0].classes).map((name) => [mean(frames.map((each) => each.classes[name])), name]);
  const [share, name] = classes.sort(([one], [other]) => other - one)[0] ?? [];
  const of = frames.length > 1 ? `lesion on ${frames.filter((each) => each.lesions).length} of ${frames.length} frames` : count(frames[0].lesions, "lesion");
  const dice = `predicted Dice ${mean(frames.map((each) => each.predicted_dice)).toFixed(2)}`;
  const unlike = frames.some((each) => each.is_unlike) && "unlike the network's images";
  return [name && `${name} ${percent(share)}`, of, dice, unlike].filter(Boolean).join(" · ");
}

desk.addEventListener("turned", () => {
  for (const scan of desk.scans) scan.button.toggleAttribute("aria-current", scan === desk.current);
  if (desk.current) bringIntoList(desk.current.item);
});

// Scrolls the list alone: the picture stays where it is.
function bringIntoList(item) {
  const list = part("scans");
  const lowest = item.offsetTop + item.offsetHeight - list.clientHeight;
  list.scrollTop = Math.min(item.offsetTop, Math.max(lowest, list.scrollTop));
}

// Shows the scan so many places further down.
export function change(step) {
  const scan = desk.scans[desk.scans.indexOf(desk.current) + step];
  if (scan) show(scan, 1);
}

export async function remove() {
  const { key, item } = desk.current;
  const place = desk.scans.indexOf(desk.current);
  await fetch(`/scans/${key}`, { method: "DELETE" });
  item.remove();
  desk.scans.splice(place, 1);
  part("sorting").hidden = !desk.scans.length;
  emit("removed");
  show(desk.scans[Math.min(place, desk.scans.length - 1)] ?? null, 1);
}
