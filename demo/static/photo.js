// A photo before it is sent: a phone's 12 megapixels are made smaller in the browser, a pasted
// picture is taken like a chosen one, it is turned or a part of it is cut out, and the examples get
// names that a screen reader can say.
(() => {
  const LONGEST = 1600; // pixels; the network reads 256 × 192
  const SMALL = 1e6; // bytes that are sent as they are
  const LEAST = 24; // pixels of a box's shorter side
  const field = () => document.querySelector("#photo input[type=file]");
  let ours = false; // the change that we cause ourselves

  // The same picture with at most LONGEST pixels a side, upright, as a JPEG; the file itself where
  // it is small or the browser cannot read it: the server may, and has the sentence if not.
  async function smaller(file) {
    if (file.size <= SMALL || !file.type.startsWith("image/")) return file;
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    } catch {
      return file;
    }
    const scale = LONGEST / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return file;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // behind transparency, as the server does
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    return blob ? new File([blob], file.name.replace(/\.\w+$/, "") + ".jpg", { type: blob.type }) : file;
  }

  async function give(file) {
    const input = field();
    if (!input) return;
    const moved = new DataTransfer();
    moved.items.add(await smaller(file));
    input.files = moved.files;
    ours = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    ours = false;
  }

  document.addEventListener("change", (event) => {
    const file = event.target === field() && event.target.files[0];
    if (ours || !file) return;
    forget();
    if (file.size <= SMALL) return;
    event.stopImmediatePropagation();
    give(file);
  }, true);
  document.addEventListener("drop", (event) => {
    const file = event.target.closest?.("#photo") && event.dataTransfer?.files[0];
    if (file) forget();
    if (!file || file.size <= SMALL || !field()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    give(file);
  }, true);
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])].find((f) => f.type.startsWith("image/"));
    if (!file || event.target.closest?.("input, textarea")) return;
    if (!document.querySelector("#photo")?.offsetParent) return; // another tab is open
    forget();
    replace(file);
  });

  // The photo that is shown, drawn by "draw" onto a canvas of the given size, in its place.
  async function redraw(width, height, draw) {
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width));
    canvas.height = Math.max(1, Math.round(height));
    draw(canvas.getContext("2d"));
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
    if (blob) replace(new File([blob], "photo.jpg", { type: blob.type }));
  }

  // Give a photo where another one is shown: its field is there again once that one is gone.
  function replace(file) {
    if (field()) return give(file);
    document.querySelector("#photo button[aria-label='Remove Image']")?.click();
    const waiting = setInterval(() => field() && (clearInterval(waiting), give(file)), 50);
    setTimeout(() => clearInterval(waiting), 3000);
  }

  const preview = () => [...document.querySelectorAll("#photo img")].find((i) => i.naturalWidth);

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
      replace(new File([file], "photo.jpg", { type: file.type || "image/jpeg" }));
    }
  });

  function forget() {
    whole = null;
    if (part("whole")) part("whole").hidden = true;
  }

  // "green-tshirt.png" → "Example: green tshirt"
  function name() {
    for (const button of document.querySelectorAll("button.gallery-item:not([data-named])")) {
      const image = button.querySelector("img");
      const file = image?.src.split("/").pop();
      if (!file) continue;
      button.dataset.named = "1";
      button.setAttribute("aria-label", `Example: ${file.replace(/\.\w+$/, "").replaceAll("-", " ")}`);
      image.alt = "";
    }
  }
  new MutationObserver(name).observe(document.documentElement, { childList: true, subtree: true });
})();
