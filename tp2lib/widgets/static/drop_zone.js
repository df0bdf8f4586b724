function render({ model, el }) {
  const box = document.createElement("label"), words = document.createElement("span");
  const input = document.createElement("input"), said = document.createElement("output");
  box.className = "tp2-drop";
  input.type = "file";
  input.accept = ".png,.jpg,.jpeg,.webp";
  const show = () => { words.textContent = model.get("label"); said.textContent = model.get("said"); };
  model.on("change:label change:said", show);
  async function take(file) {
    if (!file) return;
    const large = file.size > model.get("limit");
    let data = new ArrayBuffer(0);
    try {
      if (!large) data = await file.arrayBuffer();
    } catch (lost) {  // a folder, or a file that is gone
      said.textContent = "\u2717 " + file.name + " cannot be read. Drop a picture file.";
      return;
    }
    model.send({ kind: "file", name: file.name, size: file.size }, undefined, [data]);
  }
  input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });
  const over = (on) => (event) => { event.preventDefault(); event.stopPropagation(); box.classList.toggle("over", on); };
  box.addEventListener("dragover", over(true));
  box.addEventListener("dragleave", over(false));
  box.addEventListener("drop", (event) => { over(false)(event); take(event.dataTransfer.files[0]); });
  box.append(words, input, said);
  el.append(box);
  show();
}
export default { render };
