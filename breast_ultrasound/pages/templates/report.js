const control = (id) => document.getElementById(id);
const gallery = control("cases");
const figures = new Map([...gallery.children].map((figure) => [figure.dataset.id, figure]));
// Every test image, in the order of ids; those with a picture have a figure.
const images = JSON.parse(control("tested").textContent).map(([id, cls, kind, before, dice, size, marks], place) => {
  const anchor = `image-${id.replaceAll(" ", "-").replace(/[()]/g, "")}`;
  return { place, id, class: cls, kind, before, dice, size, marks, anchor, figure: figures.get(id) };
});
const FILTERS = ["class", "kind", "marks"];
const VIEWS = ["before", "probability"];
const ROWS_A_PAGE = 20;
const PICTURES_AT_FIRST = 12;
let selected = images;
let pictures = PICTURES_AT_FIRST;
let page = 0;

const selectedFigures = () => selected.map((image) => image.figure).filter(Boolean);
const count = (list) => list.length.toLocaleString("en");

function order() {
  const key = control("sort").value;
  const [name, sign] = key.startsWith("-") ? [key.slice(1), -1] : [key, 1];
  return (one, two) => sign * (one[name] - two[name]);
}

function matches() {
  const text = control("search").value.trim().toLowerCase();
  const filters = FILTERS.map((name) => [name, control(name).value]).filter(([, value]) => value);
  return (image) => image.id.toLowerCase().includes(text) && filters.every(([name, value]) => String(image[name]) === value);
}

function update() {
  selected = images.filter(matches()).sort(order());
  gallery.append(...selectedFigures());
  const withPicture = figures.size < images.length ? `, ${count(selectedFigures())} with a picture` : "";
  control("count").textContent = `${count(selected)} of ${count(images)} images${withPicture}`;
  reveal();
  turn(0);
}

// The first pictures, so that what follows the gallery is near, until all are asked for.
function reveal() {
  const drawn = selectedFigures();
  for (const figure of figures.values()) figure.hidden = true;
  for (const figure of drawn.slice(0, pictures)) figure.hidden = false;
  control("more").hidden = drawn.length <= pictures;
  control("more").textContent = `Show all ${count(drawn)} pictures`;
}

function revealAll() {
  pictures = Infinity;
  reveal();
}

function view() {
  for (const name of VIEWS) gallery.classList.toggle(`show-${name}`, control(name).checked);
}

function turn(to) {
  const rows = selected.slice(to * ROWS_A_PAGE, (to + 1) * ROWS_A_PAGE);
  const until = to * ROWS_A_PAGE + rows.length;
  page = to;
  control("rows").replaceChildren(...rows.map(row));
  control("range").textContent = rows.length ? `${until - rows.length + 1} to ${until} of ${selected.length}` : "none";
  control("previous").disabled = page === 0;
  control("next").disabled = until === selected.length;
}

function row(image) {
  const line = control("row").content.firstElementChild.cloneNode(true);
  const texts = [
    image.class, image.kind, image.before.toFixed(3), image.dice.toFixed(3), (100 * image.size).toFixed(1),
    image.marks ? "burned in" : "none", image.figure ? "above" : "none",
  ];
  Object.assign(line.querySelector("a"), { textContent: image.id, href: `#${image.anchor}` });
  line.querySelectorAll("td").forEach((cell, place) => { cell.textContent = texts[place]; });
  if (!image.figure) line.id = image.anchor;
  return line;
}

// Goes to the picture of the image that the address names, or to its row where it has none.
function visit() {
  const image = images.find((one) => one.anchor === decodeURIComponent(location.hash.slice(1)));
  if (!image) return;
  if (!selected.includes(image)) {
    for (const name of ["search", ...FILTERS]) control(name).value = "";
    update();
  }
  if (!image.figure) {
    control("table").open = true;
    turn(Math.floor(selected.indexOf(image) / ROWS_A_PAGE));
  } else if (image.figure.hidden) revealAll();
  control(image.anchor).focus();
}

function step(event) {
  const forward = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!forward || event.altKey || event.target.matches("input, select")) return;
  const drawn = selectedFigures();
  const here = drawn.indexOf(document.activeElement.closest(".case"));
  const next = drawn[here < 0 ? 0 : Math.min(Math.max(here + forward, 0), drawn.length - 1)];
  if (!next) return;
  if (next.hidden) revealAll();
  next.focus();
  history.replaceState(null, "", `#${next.id}`);
  event.preventDefault();
}

control("search").addEventListener("input", update);
for (const name of ["sort", ...FILTERS]) control(name).addEventListener("change", update);
for (const name of VIEWS) control(name).addEventListener("change", view);
control("more").addEventListener("click", revealAll);
control("previous").addEventListener("click", () => turn(page - 1));
control("next").addEventListener("click", () => turn(page + 1));
document.addEventListener("keydown", step);
window.addEventListener("hashchange", visit);
view();
update();
visit();
