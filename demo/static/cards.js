// Blends the photo and the raw maps in the browser, so that opacity and scale answer at once.
// The server sends the photo once (#shown-photo img) and a small map per card (canvas.view).
(() => {
  const look = { opacity: OPACITY, shared: false };
  const colours = {}; // name → 256 RGB triples
  for (const [name, text] of Object.entries(COLOURS)) {
    colours[name] = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  }
  const fitted = new WeakMap(); // canvas → {values, peak} at the photo's size
  let waiting = false;

  const photo = () => document.querySelector("#shown-photo img");

  // The map over the padded input, the photo cut out of it: as overlay.fit_to_photo does it.
  function fit(canvas, width, height) {
    const { cells, box, size } = JSON.parse(canvas.dataset.map);
    const h = cells.length, w = cells[0].length;
    const values = new Float32Array(width * height);
    const axis = (n, start, length, whole, count) =>
      Array.from({ length: n }, (_, i) => {
        const place = (start + ((i + 0.5) * length) / n) * (count / whole) - 0.5;
        const clipped = Math.min(Math.max(place, 0), count - 1);
        const low = Math.min(Math.floor(clipped), Math.max(count - 2, 0));
        return [low, Math.min(low + 1, count - 1), clipped - low];
      });
    const xs = axis(width, box.left, box.width, size[1], w);
    const ys = axis(height, box.top, box.height, size[0], h);
    // First along each row of cells, then down: a third of the work.
    const rows = cells.map((row) =>
      Float32Array.from(xs, ([x0, x1, fx]) => row[x0] * (1 - fx) + row[x1] * fx));
    const signed = Boolean(canvas.dataset.signed);
    let peak = 0, i = 0;
    for (const [y0, y1, fy] of ys) {
      const top = rows[y0], bottom = rows[y1];
      for (let x = 0; x < width; x++) {
        const value = top[x] * (1 - fy) + bottom[x] * fy;
        values[i++] = value;
        const size = signed && value < 0 ? -value : value;
        if (size > peak) peak = size;
      }
    }
    return { values, peak };
  }

  function paint() {
    waiting = false;
    const image = photo();
    if (!image) return;
    if (!image.complete || !image.naturalWidth) {
      image.addEventListener("load", later, { once: true });
      return;
    }
    previews();
    const width = image.naturalWidth, height = image.naturalHeight;
    const views = [...document.querySelectorAll("canvas.view")];
    for (const canvas of views) {
      const known = fitted.get(canvas);
      if (!known || known.map !== canvas.dataset.map || known.photo !== image.src) {
        const made = fit(canvas, width, height);
        fitted.set(canvas, { ...made, map: canvas.dataset.map, photo: image.src });
      }
    }
    const common = Math.max(0, ...views.map((c) => fitted.get(c).peak));
    for (const canvas of views) blend(canvas, image, look.shared ? common : fitted.get(canvas).peak);
  }

  function blend(canvas, image, top) {
    const { values } = fitted.get(canvas);
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    if (top > 0 && !canvas.dataset.bare) {
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
      const signed = Boolean(canvas.dataset.signed);
      // Weak evidence, or a photo that may show no product: not stretched to full brightness.
      const strength = look.opacity * (canvas.dataset.faint ? FAINT : 1);
      const table = colours[signed ? "signed" : "plain"], data = pixels.data;
      const strong = new Uint8Array(values.length);
      for (let i = 0; i < values.length; i++) {
        const value = Math.min(Math.max(values[i] / top, signed ? -1 : 0), 1);
        if (!value) continue;
        const size = Math.abs(value), alpha = size * strength;
        const row = 3 * Math.min(255, Math.floor(256 * (signed ? 0.5 + value / 2 : value)));
        const place = 4 * i;
        data[place] += (table[row] - data[place]) * alpha;
        data[place + 1] += (table[row + 1] - data[place + 1]) * alpha;
        data[place + 2] += (table[row + 2] - data[place + 2]) * alpha;
        if (size >= OUTLINED) strong[i] = 1;
      }
      outline(strong, pixels, strength);
      context.putImageData(pixels, 0, 0);
    }
    canvas.dataset.painted = `${look.opacity} ${look.shared ? "shared" : "own"}`;
  }

  // White inside and black outside where the evidence is strong: as overlay.outline does it.
  function outline(strong, { data, width, height }, strength) {
    const reach = Math.max(1, Math.round(Math.max(width, height) / WIDTH));
    for (let y = 0, i = 0; y < height; y++) {
      const up = Math.min(y, reach) * width, down = Math.min(height - 1 - y, reach) * width;
      for (let x = 0; x < width; x++, i++) {
        const own = strong[i], left = Math.min(x, reach), right = Math.min(width - 1 - x, reach);
        if (strong[i - up] === own && strong[i + down] === own
          && strong[i - left] === own && strong[i + right] === own) continue;
        for (let c = 4 * i; c < 4 * i + 3; c++) data[c] += ((own ? 255 : 0) - data[c]) * strength;
      }
    }
  }

  function later() {
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(paint);
    }
  }

  // Hover, a tap or the keyboard shows the photo without its map.
  function bare(event, on) {
    const canvas = event.target.closest?.("canvas.view");
    if (!canvas) return;
    if (on) canvas.dataset.bare = "1";
    else delete canvas.dataset.bare;
    later();
  }
  document.addEventListener("pointerover", (e) => e.pointerType === "mouse" && bare(e, true));
  document.addEventListener("pointerout", (e) => e.pointerType === "mouse" && bare(e, false));
  document.addEventListener("click", (e) => {
    const canvas = e.target.closest?.("canvas.view");
    if (canvas && e.pointerType !== "mouse") bare(e, !canvas.dataset.bare);
  });
  document.addEventListener("keydown", (e) => {
    const canvas = e.target.closest?.("canvas.view");
    if (canvas && (e.key === "Enter" || e.key === " ")) {
      e.preventDefault();
      bare(e, !canvas.dataset.bare);
    }
  });

  // Which cards show their details; a card that is drawn anew shows them again.
  const opened = new Set();
  document.addEventListener("toggle", (e) => {
    if (!e.target.matches?.("details.more")) return;
    const name = e.target.closest(".card").dataset.attribute;
    if (e.target.open) opened.add(name);
    else if (e.target.isConnected) opened.delete(name);
  }, true);
  function reopen() {
    for (const details of document.querySelectorAll(".card details.more:not([open])")) {
      if (opened.has(details.closest(".card").dataset.attribute)) details.open = true;
    }
  }

  // A format that the browser cannot show, such as HEIC: the preview takes what the server decoded.
  function previews() {
    const decoded = photo();
    for (const image of document.querySelectorAll("#photo img")) {
      const own = image.dataset.decoded === image.src;
      const broken = image.complete && image.src && !image.naturalWidth && !own;
      if (broken && decoded) {
        image.dataset.decoded = decoded.src;
        image.src = decoded.src;
      }
    }
  }
  document.addEventListener("error", (e) => e.target.closest?.("#photo") && later(), true);

  window.fashion = {
    opacity: (percent) => { look.opacity = percent / 100; later(); },
    shared: (name) => { look.shared = name === "shared"; later(); },
  };
  new MutationObserver((changes) => {
    const ours = changes.some((c) => !c.target.closest?.(".stack"));
    if (ours) {
      reopen();
      later();
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
