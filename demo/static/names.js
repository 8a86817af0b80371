// The examples get names that a screen reader can say.
(() => {
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
