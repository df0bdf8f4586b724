function render({ model, el }) {
  const box = document.createElement("div"), text = document.createElement("pre");
  const button = document.createElement("button"), said = document.createElement("span");
  box.className = "tp2-copy";
  button.className = "jupyter-button";
  button.type = "button";
  said.setAttribute("role", "status");
  text.tabIndex = 0; text.setAttribute("role", "group");
  const show = () => {
    text.textContent = model.get("text");
    text.setAttribute("aria-label", model.get("label"));
    button.textContent = "Copy " + model.get("label");
    said.textContent = "";
  };
  button.addEventListener("click", async () => {
    const range = document.createRange();
    range.selectNodeContents(text);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    try {
      await navigator.clipboard.writeText(model.get("text"));
      said.textContent = " Copied.";
    } catch (refused) {
      said.textContent = document.execCommand("copy") ? " Copied." : " Selected: press Ctrl+C.";
    }
  });
  model.on("change:text change:label", show);
  box.append(button, said, text);
  el.append(box);
  show();
}
export default { render };
