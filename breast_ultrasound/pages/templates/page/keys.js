// The keys of the page.

import { desk } from "./desk.js";

const acts = new Map();

// Binds functions to keys by name, such as "z" or "Ctrl+z".
export function bind(keys) {
  for (const [name, act] of Object.entries(keys)) acts.set(name, act);
}

// Controls that have keys of their own, and which these are.
const OWN = [["select", /./], ["input[type=range]", /^(Arrow|Page|Home|End)/], ["button, a, input, label", /^(Enter| )$/]];

document.addEventListener("keydown", (event) => {
  const name = (event.ctrlKey || event.metaKey ? "Ctrl+" : "") + event.key;
  const act = acts.get(name);
  const isOwn = OWN.some(([control, keys]) => event.target.matches(control) && keys.test(event.key));
  if (!desk.current || !act || isOwn || event.altKey) return;
  event.preventDefault();
  act(event);
});
