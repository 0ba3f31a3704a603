// Operations on a mask, a Uint8Array of zeros and ones, row by row: nothing here touches the page.
//
// A sheet is { mask, width, height, bounds }: only pixels within `bounds` are ever changed. A rectangle, such as this, is
// { left, top, right, bottom }, the latter two outside of it. Points are in pixels, the centre of the first at 0.5, 0.5.
// Each operation returns the rectangle that it may have changed, or null where it changed nothing.

// Draws a line with a round pen that sets pixels to `value`.
export function paintLine({ mask, width, bounds }, from, to, radius, value) {
  const rect = common(bounds, {
    left: Math.floor(Math.min(from.x, to.x) - radius),
    top: Math.floor(Math.min(from.y, to.y) - radius),
    right: Math.ceil(Math.max(from.x, to.x) + radius),
    bottom: Math.ceil(Math.max(from.y, to.y) + radius),
  });
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const squared = dx * dx + dy * dy;
  for (let row = rect.top; row < rect.bottom; row++) {
    for (let column = rect.left; column < rect.right; column++) {
      const [x, y] = [column + 0.5 - from.x, row + 0.5 - from.y];
      const along = squared && Math.min(1, Math.max(0, (x * dx + y * dy) / squared));
      if ((x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius * radius) mask[row * width + column] = value;
    }
  }
  return rect;
}

// Sets the pixels whose centres lie within a polygon, by the even-odd rule.
export function fillPolygon({ mask, width, bounds }, points) {
  const ys = points.map(({ y }) => y);
  const rect = common(bounds, { ...bounds, top: Math.floor(Math.min(...ys)), bottom: Math.ceil(Math.max(...ys)) });
  for (let row = rect.top; row < rect.bottom; row++) {
    const y = row + 0.5;
    const crossings = points.flatMap((from, place) => {
      const to = points[(place + 1) % points.length];
      return from.y <= y === to.y <= y ? [] : [from.x + ((y - from.y) / (to.y - from.y)) * (to.x - from.x)];
    }).sort((one, other) => one - other);
    for (let place = 0; place < crossings.length; place += 2) {
      const [left, right] = crossings.slice(place, place + 2).map((x) => Math.min(bounds.right, Math.max(bounds.left, Math.ceil(x - 0.5))));
      mask.fill(1, row * width + left, row * width + right);
    }
  }
  return rect;
}

// Fills the hole at a point; null also where the outline around it is open.
export function fillHole(sheet, point) {
  const hole = flood(sheet, point, 0);
  return hole.isOpen ? null : setAll(sheet, hole, 1);
}

// Clears the lesion at a point: all that hangs together with it.
export function deleteLesion(sheet, point) {
  return setAll(sheet, flood(sheet, point, 1), 0);
}

// Returns the pixels of a value that hang together with a point: lesions also across corners, their holes not.
function flood({ mask, width, bounds }, point, value) {
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  const rect = { left: x, top: y, right: x + 1, bottom: y + 1 };
  const pixels = [];
  const isNew = new Uint8Array(mask.length);
  const visit = (column, row) => {
    const place = row * width + column;
    if (column < bounds.left || column >= bounds.right || row < bounds.top || row >= bounds.bottom) return false;
    if (mask[place] === value && !isNew[place]) {
      isNew[place] = 1;
      pixels.push(place);
    }
    return true;
  };
  let isOpen = !visit(x, y);
  for (let next = 0; next < pixels.length; next++) {
    const [column, row] = [pixels[next] % width, Math.floor(pixels[next] / width)];
    Object.assign(rect, union(rect, { left: column, top: row, right: column + 1, bottom: row + 1 }));
    for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) if (!visit(column + dx, row + dy)) isOpen = true;
    if (value) for (const [dx, dy] of [[-1, -1], [1, -1], [-1, 1], [1, 1]]) visit(column + dx, row + dy);
  }
  return { pixels, rect, isOpen };
}

function setAll({ mask }, { pixels, rect }, value) {
  for (const place of pixels) mask[place] = value;
  return pixels.length ? rect : null;
}

// The places where the ones of a mask begin and end.
export function toEdges(mask) {
  const edges = [];
  for (let place = 0, inside = 0; place <= mask.length; place++) {
    const value = mask[place] ?? 0;
    if (value !== inside) edges.push(place);
    inside = value;
  }
  return edges;
}

export function fromEdges(edges, mask) {
  mask.fill(0);
  for (let place = 0; place < edges.length; place += 2) mask.fill(1, edges[place], edges[place + 1]);
}

// Colours the pixels of a rectangle, a Uint32Array row by row: the outline of a mask, what it encloses, and nothing else.
export function colour({ mask, width, height }, rect, outline, inside, colours) {
  let place = 0;
  for (let row = rect.top; row < rect.bottom; row++) {
    for (let column = rect.left; column < rect.right; column++) {
      const at = row * width + column;
      const isInner = row > 0 && row < height - 1 && column > 0 && column < width - 1
        && mask[at - 1] && mask[at + 1] && mask[at - width] && mask[at + width];
      colours[place++] = mask[at] ? (isInner ? inside : outline) : 0;
    }
  }
}

export const union = (one, other) => ({
  left: Math.min(one.left, other.left),
  top: Math.min(one.top, other.top),
  right: Math.max(one.right, other.right),
  bottom: Math.max(one.bottom, other.bottom),
});

export const common = (one, other) => ({
  left: Math.max(one.left, other.left),
  top: Math.max(one.top, other.top),
  right: Math.min(one.right, other.right),
  bottom: Math.min(one.bottom, other.bottom),
});
