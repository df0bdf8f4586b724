const TINT = "rgb(0, 122, 204)";
function render({ model, el }) {
  const box = document.createElement("div"), bar = document.createElement("div");
  const canvas = document.createElement("canvas"), said = document.createElement("output");
  const mask = document.createElement("canvas"), tint = document.createElement("canvas");
  const pen = canvas.getContext("2d"), kept = mask.getContext("2d", { willReadFrequently: true }), veil = tint.getContext("2d");
  let photo = null, from = null, last = null, spot = null, tool = "keep", undo = [];
  box.className = "tp2-mask";
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "the photo; what is kept is blue. Arrow keys move the brush, with Shift by one pixel; Space puts it down and lifts it");
  const buttons = {};
  for (const [name, words, help] of [["keep", "Keep", "paint what stays as it is"], ["erase", "Erase", "paint what is to be new"], ["box", "Box", "drag a box around what stays"]]) {
    const one = buttons[name] = document.createElement("button");
    one.textContent = words; one.title = help; one.type = "button";
    one.addEventListener("click", () => choose(name));
    bar.append(one);
  }
  const label = document.createElement("label"), size = document.createElement("input");
  size.type = "range"; size.min = 2; size.max = 60; size.value = 16;
  label.append("brush ", size);
  const back = document.createElement("button"), reset = document.createElement("button");
  back.textContent = "Undo"; back.type = "button"; back.addEventListener("click", () => { if (undo.length) { kept.putImageData(undo.pop(), 0, 0); draw(); send(); } });
  reset.textContent = "As found"; reset.type = "button"; reset.addEventListener("click", () => { model.send({ kind: "reset" }); load(); });
  bar.append(label, back, reset);
  function choose(name) {
    tool = name;
    for (const [one, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", one === name);
  }
  function draw(frame) {
    if (!photo) return;
    pen.globalAlpha = 1;
    pen.drawImage(photo, 0, 0, canvas.width, canvas.height);
    veil.globalCompositeOperation = "copy";
    veil.drawImage(mask, 0, 0);
    veil.globalCompositeOperation = "source-in";
    veil.fillStyle = TINT;
    veil.fillRect(0, 0, tint.width, tint.height);
    pen.globalAlpha = 0.5;
    pen.drawImage(tint, 0, 0);
    pen.globalAlpha = 1;
    pen.strokeStyle = TINT; pen.lineWidth = 2;
    if (frame) pen.strokeRect(...frame);
    if (spot) { pen.beginPath(); pen.arc(...spot, tool === "box" ? 3 : Number(size.value) / 2, 0, 2 * Math.PI); pen.stroke(); }
  }
  const bytes = (name) => { const view = model.get(name); return new Blob([view.buffer ? view : new Uint8Array(view)], { type: "image/png" }); };
  async function load(name = "mask") {
    if (!model.get("photo").byteLength) return;
    const [one, other] = await Promise.all([createImageBitmap(bytes("photo")), createImageBitmap(bytes(name))]);
    for (const each of [canvas, mask, tint]) { each.width = one.width; each.height = one.height; }
    photo = one; undo = [];
    kept.drawImage(other, 0, 0);
    draw();
    box.dataset.ready = "yes";
  }
  function send() {
    const data = kept.getImageData(0, 0, mask.width, mask.height).data, out = new Uint8Array(mask.width * mask.height);
    for (let i = 0; i < out.length; i++) out[i] = data[4 * i + 3] > 127 ? 1 : 0;
    model.send({ kind: "mask", width: mask.width, height: mask.height }, undefined, [out.buffer]);
  }
  function at(event) {
    const rect = canvas.getBoundingClientRect();
    return [(event.clientX - rect.left) * canvas.width / rect.width, (event.clientY - rect.top) * canvas.height / rect.height];
  }
  function stroke(to) {
    kept.globalCompositeOperation = tool === "erase" ? "destination-out" : "source-over";
    kept.strokeStyle = "white"; kept.lineCap = "round"; kept.lineWidth = Number(size.value);
    kept.beginPath(); kept.moveTo(...last); kept.lineTo(to[0] + 0.01, to[1]); kept.stroke();
    last = to;
    draw();
  }
  const frame = (to) => [from[0], from[1], to[0] - from[0], to[1] - from[1]];
  function begin(to) {
    undo.push(kept.getImageData(0, 0, mask.width, mask.height));
    undo = undo.slice(-20);
    from = last = to;
    if (tool !== "box") stroke(to);
  }
  function move(to) {
    if (from && tool !== "box") stroke(to); else draw(from && frame(to));
  }
  function end(to) {
    if (!from) return;
    if (to && tool === "box") {
      kept.globalCompositeOperation = "source-over"; kept.fillStyle = "white";
      kept.fillRect(...frame(to));
    }
    from = null;
    draw();
    send();
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (!photo || event.button || !event.isPrimary) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    spot = null;
    begin(at(event));
  });
  canvas.addEventListener("pointermove", (event) => { if (from && !spot && event.isPrimary) move(at(event)); });
  canvas.addEventListener("pointerup", (event) => { if (event.isPrimary) end(at(event)); });
  canvas.addEventListener("pointercancel", (event) => { if (event.isPrimary) end(); });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!photo || (!way && event.key !== " ")) return;
    event.preventDefault();
    spot = spot || [canvas.width / 2, canvas.height / 2];
    if (!way) { if (event.repeat) return; if (from) end(spot); else begin(spot); return; }
    const by = event.shiftKey ? 1 : 8;
    spot = [Math.min(Math.max(spot[0] + by * way[0], 0), canvas.width), Math.min(Math.max(spot[1] + by * way[1], 0), canvas.height)];
    move(spot);
  });
  canvas.addEventListener("blur", () => { end(spot); spot = null; draw(); });
  const tell = () => { said.textContent = model.get("said"); };
  model.on("change:said", tell);
  model.on("change:photo change:mask", () => load());
  box.append(bar, canvas, said);
  el.append(box);
  choose("keep");
  tell();
  load(model.get("drawn").byteLength ? "drawn" : "mask");
}
export default { render };
