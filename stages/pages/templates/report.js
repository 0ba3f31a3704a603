const gallery = document.getElementById("cases");
const cases = [...gallery.children];
const control = (id) => document.getElementById(id);

function order(one, two) {
  const key = control("sort").value;
  if (key === "id") return one.dataset.id.localeCompare(two.dataset.id, "en", { numeric: true });
  const name = key.replace("-", "");
  const difference = one.dataset[name] - two.dataset[name];
  return key.startsWith("-") ? -difference : difference;
}

function matches(item) {
  const wanted = control("search").value.trim().toLowerCase();
  const chosen = ["class", "kind", "marks"].every((name) => ["", item.dataset[name]].includes(control(name).value));
  return chosen && item.dataset.id.includes(wanted);
}

function update() {
  for (const item of cases) item.hidden = !matches(item);
  gallery.append(...[...cases].sort(order));
  for (const name of ["before", "probability"]) gallery.classList.toggle(`show-${name}`, control(name).checked);
  control("shown").textContent = `${cases.filter((item) => !item.hidden).length} of ${cases.length} images`;
}

function step(event) {
  const forward = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!forward || event.target.matches("input, select")) return;
  const shown = [...gallery.children].filter((item) => !item.hidden);
  const here = shown.indexOf(document.activeElement.closest(".case"));
  const next = shown[here < 0 ? 0 : Math.min(Math.max(here + forward, 0), shown.length - 1)];
  if (!next) return;
  next.focus();
  history.replaceState(null, "", `#${next.id}`);
  event.preventDefault();
}

for (const event of ["input", "change"]) document.querySelector(".controls").addEventListener(event, update);
document.addEventListener("keydown", step);
update();
if (location.hash) document.getElementById(location.hash.slice(1))?.focus();
