// A reload keeps the photo: this tab remembers what is shown until another one takes its place.
(() => {
  const NAME = "fashion-photo", MOST = 3e6; // characters; a tab has room for five million or so
  let kept = null; // the address of what is remembered

  async function keep() {
    const image = window.fashion.preview();
    if (!image || image.src === kept) return;
    kept = image.src;
    const reader = new FileReader();
    reader.onload = () => {
      try {
        if (reader.result.length <= MOST) sessionStorage.setItem(NAME, reader.result);
        else sessionStorage.removeItem(NAME);
      } catch { /* no room, or storage is switched off: a reload loses it then */ }
    };
    try {
      reader.readAsDataURL(await (await fetch(image.src)).blob());
    } catch { /* it is gone already */ }
  }

  document.addEventListener("load", (event) => event.target.closest?.("#photo") && keep(), true);
  document.addEventListener("click", (event) => {
    if (event.isTrusted && event.target.closest?.("#photo button[aria-label='Remove Image']")) {
      sessionStorage.removeItem(NAME);
    }
  }, true);

  const arrived = performance.getEntriesByType("navigation")[0]?.type;
  const before = arrived === "reload" ? sessionStorage.getItem(NAME) : null;
  if (!before) return;
  const waiting = setInterval(async () => {
    if (!document.querySelector("#photo input[type=file]")) return;
    clearInterval(waiting);
    const blob = await (await fetch(before)).blob();
    window.fashion.replace(new File([blob], "photo.jpg", { type: blob.type }));
  }, 100);
  setTimeout(() => clearInterval(waiting), 20000);
})();
