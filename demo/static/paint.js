// Paint over a part of the photo. What is painted is a small mask of our own, one bit a pixel:
// the server gets "WIDTHxHEIGHT:BASE64" and never a picture.
(() => {
  const COLOUR = "rgba(255, 0, 255, .6)", BRUSH = 0.05; // of the longest side
  let shown = null; // address of the photo on the board
  let mask = null; // a canvas of at most MASK pixels a side, white where painted
  let last = null; // where the stroke is now, in shares of width and height

  const board = () => document.querySelector("canvas#paint");
  const photo = () => document.querySelector("#shown-photo img");

  function open() {
    const canvas = board(), image = photo();
    if (!canvas || (image && image.src) === shown) return;
    if (image && !(image.complete && image.naturalWidth)) {
      image.addEventListener("load", open, { once: true });
      return;
    }
    shown = image ? image.src : null;
    canvas.hidden = !image;
    if (image) clear();
  }

  function clear() {
    const canvas = board(), image = photo();
    if (!canvas || !image) return;
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.getContext("2d").drawImage(image, 0, 0);
    const scale = Math.min(1, MASK / Math.max(canvas.width, canvas.height));
    mask = document.createElement("canvas");
    mask.width = Math.max(1, Math.round(canvas.width * scale));
    mask.height = Math.max(1, Math.round(canvas.height * scale));
    delete canvas.dataset.painted;
  }

  function stroke(canvas, to, colour) {
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const from = last || to;
    context.strokeStyle = colour;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = Math.max(2, BRUSH * Math.max(canvas.width, canvas.height));
    context.beginPath();
    context.moveTo(from.x * canvas.width, from.y * canvas.height);
    context.lineTo(to.x * canvas.width + 0.01, to.y * canvas.height);
    context.stroke();
  }

  // The photo fills its canvas as "object-fit: contain" lets it.
  function place(event) {
    const canvas = board(), box = canvas.getBoundingClientRect();
    const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
    const left = (box.width - canvas.width * scale) / 2, top = (box.height - canvas.height * scale) / 2;
    return {
      x: (event.clientX - box.left - left) / (canvas.width * scale),
      y: (event.clientY - box.top - top) / (canvas.height * scale),
    };
  }

  function paint(event) {
    const to = place(event);
    stroke(board(), to, COLOUR);
    stroke(mask, to, "#fff");
    last = to;
    board().dataset.painted = "1";
  }

  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.("canvas#paint") || !mask || event.button) return;
    event.preventDefault();
    event.target.setPointerCapture?.(event.pointerId);
    last = null;
    paint(event);
  });
  document.addEventListener("pointermove", (event) => { if (last) paint(event); });
  for (const name of ["pointerup", "pointercancel"]) {
    document.addEventListener(name, () => { last = null; });
  }

  function painted() {
    if (!mask || !board()?.dataset.painted) return "";
    const { width, height } = mask;
    const pixels = mask.getContext("2d").getImageData(0, 0, width, height).data;
    const bytes = new Uint8Array(Math.ceil((width * height) / 8));
    for (let i = 0; i < width * height; i++) {
      if (pixels[4 * i + 3] > 127) bytes[i >> 3] |= 128 >> (i & 7);
    }
    return `${width}x${height}:${btoa(String.fromCharCode(...bytes))}`;
  }

  Object.assign(window.fashion, { painted, unpaint: clear });
  new MutationObserver(open).observe(document.documentElement, { childList: true, subtree: true });
})();
