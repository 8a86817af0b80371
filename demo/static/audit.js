// The keys of the audit tab: 1, 2 and 3 choose an annotation, Enter keeps it, the arrows go to the
// photo before and after.
(() => {
  let place = 0; // of the photo that is open
  const photos = () => [...document.querySelectorAll("#photos button:has(img)")];

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#photos button:has(img)");
    if (button) place = photos().indexOf(button);
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (!document.querySelector("#product-side")?.offsetParent) return;
    // Whoever types, or has another button before them, means that.
    if (event.target.closest?.("input:not([type=radio]), textarea, summary, button:not(#photos *, #keep)")) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const choice = ["1", "2", "3"].indexOf(event.key);
    if (step) photos()[place + step]?.click();
    else if (choice >= 0) document.querySelectorAll("#annotation input")[choice]?.click();
    else if (event.key === "Enter") document.querySelector("#keep")?.click();
    else return;
    event.preventDefault();
  });
})();
