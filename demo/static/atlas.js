// The audit's products on a plane, and a lasso to choose some of them.
(() => {
  const COLOURS = ["#9aa0a8", "#d9480f", "#5c7cfa"]; // right, wrong, without a label
  let lasso = [], drawing = false;
  const board = () => document.querySelector("canvas#atlas");

  function draw() {
    const canvas = board();
    if (!canvas) return;
    const { width, height } = canvas, context = canvas.getContext("2d");
    const { x, y, kind } = JSON.parse(canvas.dataset.points);
    context.clearRect(0, 0, width, height);
    for (const now of [0, 2, 1]) { // errors on top
      context.fillStyle = COLOURS[now];
      context.globalAlpha = now === 1 ? 0.9 : 0.45;
      for (let i = 0; i < x.length; i++) {
        if (kind[i] !== now) continue;
        context.beginPath();
        context.arc(6 + x[i] * (width - 12), 6 + y[i] * (height - 12), now === 1 ? 3.5 : 2.5, 0, 7);
        context.fill();
      }
    }
    context.globalAlpha = 1;
    if (lasso.length) {
      context.strokeStyle = context.fillStyle = "#1864ab";
      context.lineWidth = 2;
      context.beginPath();
      for (const [a, b] of lasso) context.lineTo(6 + a * (width - 12), 6 + b * (height - 12));
      context.closePath();
      context.stroke();
      context.globalAlpha = 0.12;
      context.fill();
      context.globalAlpha = 1;
    }
    canvas.dataset.drawn = "1";
  }

  function place(event) {
    const box = board().getBoundingClientRect(), { width, height } = board();
    const x = ((event.clientX - box.left) / box.width) * width;
    const y = ((event.clientY - box.top) / box.height) * height;
    return [(x - 6) / (width - 12), (y - 6) / (height - 12)];
  }

  document.addEventListener("pointerdown", (event) => {
    if (!event.target.closest?.("canvas#atlas") || event.button) return;
    event.preventDefault();
    event.target.setPointerCapture?.(event.pointerId);
    drawing = true;
    lasso = [place(event)];
  });
  document.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    lasso.push(place(event));
    draw();
  });
  document.addEventListener("pointerup", () => {
    if (!drawing) return;
    drawing = false;
    if (lasso.length > 2) document.querySelector("#circled")?.click();
  });
  document.addEventListener("pointercancel", () => { drawing = false; });

  window.fashion.circled = () => {
    const step = Math.ceil(lasso.length / CORNERS) || 1; // a long line is thinned
    return lasso.filter((_, i) => i % step === 0);
  };
  new MutationObserver(() => {
    const canvas = board();
    if (!canvas || canvas.dataset.drawn) return;
    lasso = [];
    draw();
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
