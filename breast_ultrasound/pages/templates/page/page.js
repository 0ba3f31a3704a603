// The controls and keys of the page.

import { desk, show } from "./desk.js";
import { copy, set, setAsFitted, step } from "./findings.js";
import { sample, take } from "./inbox.js";
import { bind } from "./keys.js";
import { change, remove } from "./list.js";
import { part } from "./parts.js";

// Milliseconds without a step of the slider before it asks.
const WAIT = 120;

const page = (frames) => show(desk.current, desk.number + frames);

part("files").onchange = () => { take([...part("files").files]); part("files").value = ""; };
part("frame").oninput = () => show(desk.current, Number(part("frame").value));
part("earlier").onclick = () => page(-1);
part("later").onclick = () => page(1);
part("threshold").oninput = () => set(part("threshold").value, WAIT);
part("fitted").onclick = setAsFitted;
part("contours").onchange = () => part("stage").classList.toggle("bare", !part("contours").checked);
part("copy").onclick = copy;
part("remove").onclick = remove;
part("sample").onclick = sample;

// Nobody else has the keys.
addEventListener("pagehide", () => { for (const { key } of desk.scans) fetch(`/scans/${key}`, { method: "DELETE", keepalive: true }); });

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    part("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}

bind({
  ArrowLeft: () => page(-1),
  ArrowRight: () => page(1),
  ArrowUp: () => change(-1),
  ArrowDown: () => change(1),
  "+": () => step(0.01),
  "-": () => step(-0.01),
  0: setAsFitted,
  h: () => part("contours").click(),
  c: copy,
});

// With --save alone.
if (part("tools")) await import("./keeping.js");
