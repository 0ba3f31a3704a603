// The scans on the page and which frame of which is on display, counted from 1.
//
// Events: "turned" when another frame is on display; "answered", with the network's answer for it as `detail`; "removed" when
// a scan is gone; and with the scan as `detail`, "added" when one of its frames has come, "complete" when the last has, and
// "kept" when one is kept.

export const desk = Object.assign(new EventTarget(), { scans: [], current: null, number: 1 });

export const frameOnDisplay = () => desk.current?.frames[desk.number - 1];

export function emit(event, detail = null) { desk.dispatchEvent(new CustomEvent(event, { detail })); }

// Puts a frame of a scan on display.
export function show(scan, number) {
  desk.current = scan;
  desk.number = scan ? Math.min(Math.max(1, number), scan.frames.length) : 1;
  emit("turned");
}
