// A photo before it is sent: a phone's 12 megapixels are made smaller in the browser, and a pasted
// picture is taken like a chosen one.
(() => {
  const LONGEST = 1600; // pixels; the network reads 256 × 192
  const SMALL = 1e6; // bytes that are sent as they are
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
    another();
    if (file.size <= SMALL) return;
    event.stopImmediatePropagation();
    give(file);
  }, true);
  document.addEventListener("drop", (event) => {
    const file = event.target.closest?.("#photo") && event.dataTransfer?.files[0];
    if (file) another();
    if (!file || file.size <= SMALL || !field()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    give(file);
  }, true);
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])].find((f) => f.type.startsWith("image/"));
    if (!file || event.target.closest?.("input, textarea")) return;
    if (!document.querySelector("#photo")?.offsetParent) return; // another tab is open
    another();
    replace(file);
  });

  // Give a photo where another one is shown: its field is there again once that one is gone.
  function replace(file) {
    if (field()) return give(file);
    document.querySelector("#photo button[aria-label='Remove Image']")?.click();
    const waiting = setInterval(() => field() && (clearInterval(waiting), give(file)), 50);
    setTimeout(() => clearInterval(waiting), 3000);
  }

  // A photo that has nothing to do with the one before.
  function another() {
    document.dispatchEvent(new Event("another-photo"));
  }

  window.fashion.replace = replace;
  window.fashion.preview = () =>
    [...document.querySelectorAll("#photo img")].find((image) => image.naturalWidth);
})();
