// Elements of the page by their ids, and what it tells the user.

export const part = (id) => document.getElementById(id);

export const percent = (share) => `${Math.round(100 * share)}%`;
export const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

export function announce(text) { part("status").textContent = text; }

// Beside the button that accepts; where masks are corrected.
export function notice(text) { part("notice").textContent = text; }

export function report(text) {
  const item = document.createElement("li");
  const close = document.createElement("button");
  close.textContent = "×";
  close.ariaLabel = "Dismiss";
  close.onclick = () => item.remove();
  item.append(text, close);
  part("errors").append(item);
}
