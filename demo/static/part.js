// The photo that is shown is turned, or a part of it is cut out: what comes of it takes its place.
(() => {
  const LEAST = 24; // pixels of a box's shorter side
  const preview = window.fashion.preview;

  // The photo that is shown, drawn by "draw" onto a canvas of the given size, in its place.
  async function redraw(width, height, draw) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width));
    canvas.height = Math.max(1, Math.round(height));
    draw(canvas.getContext("2d"));
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    if (blob) window.fashion.replace(new File([blob], "photo.jpg", { type: blob.type }));
  }

  function turn(degrees) {
    const image = preview();
    if (!image) return;
    const { naturalWidth: w, naturalHeight: h } = image, lying = degrees % 180 !== 0;
    redraw(lying ? h : w, lying ? w : h, (context) => {
      context.translate(context.canvas.width / 2, context.canvas.height / 2);
      context.rotate((degrees * Math.PI) / 180);
      context.drawImage(image, -w / 2, -h / 2);
    });
  }

  // A box on the photo: what is inside it takes the photo's place, until the whole one is asked for.
  let whole = null, box = null, start = null;
  const part = (name) => document.querySelector(`#part [data-part=${name}]`);

  function drawing(on) {
    document.querySelector("#photo")?.classList.toggle("choosing", on);
    part("begin").hidden = on;
    part("end").parentElement.hidden = !on;
    if (on) document.querySelector("#photo")?.scrollIntoView({ block: "nearest" }); // on a phone
    if (!on) {
      box?.remove();
      box = start = null;
    }
  }

  function within(event, image) {
    const r = image.getBoundingClientRect();
    const scale = Math.min(r.width / image.naturalWidth, r.height / image.naturalHeight);
    const left = r.left + (r.width - image.naturalWidth * scale) / 2;
    const top = r.top + (r.height - image.naturalHeight * scale) / 2;
    const clip = (value, most) => Math.min(Math.max(value, 0), most);
    const x = clip((event.clientX - left) / scale, image.naturalWidth);
    const y = clip((event.clientY - top) / scale, image.naturalHeight);
    return { x, y, screen: { x: left + x * scale, y: top + y * scale } };
  }

  function rectangle(a, b) {
    return { x: Math.min(a.x, b.x), y: Math.min(a.y, b.y), w: Math.abs(a.x - b.x), h: Math.abs(a.y - b.y) };
  }

  document.addEventListener("pointerdown", (event) => {
    const image = event.target.closest?.("#photo.choosing") && preview();
    if (!image) return;
    event.preventDefault();
    start = within(event, image);
    box = document.body.appendChild(document.createElement("div"));
    box.className = "part-box";
  }, true);
  document.addEventListener("pointermove", (event) => {
    const image = start && preview();
    if (!image) return;
    const r = rectangle(start.screen, within(event, image).screen);
    Object.assign(box.style, { left: `${r.x}px`, top: `${r.y}px`, width: `${r.w}px`, height: `${r.h}px` });
  }, true);
  document.addEventListener("pointerup", async (event) => {
    const image = start && preview();
    if (!image) return;
    const r = rectangle(start, within(event, image));
    drawing(false);
    if (Math.min(r.w, r.h) < LEAST) return; // a slip, no box
    whole = whole || new File([await (await fetch(image.src)).blob()], "photo.jpg");
    part("whole").hidden = false;
    await redraw(r.w, r.h, (context) => context.drawImage(image, -r.x, -r.y));
  }, true);

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.act");
    if (!button) return;
    if (button.dataset.turn) turn(Number(button.dataset.turn));
    else if (button.dataset.part === "begin") drawing(Boolean(preview()));
    else if (button.dataset.part === "end") drawing(false);
    else if (button.dataset.part === "whole" && whole) {
      const file = whole;
      forget();
      window.fashion.replace(new File([file], "photo.jpg", { type: file.type || "image/jpeg" }));
    }
  });

  function forget() {
    whole = null;
    if (part("whole")) part("whole").hidden = true;
  }
  document.addEventListener("another-photo", forget);
})();
