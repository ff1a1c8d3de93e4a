// "Copy" beside a command. Without script, or where the browser gives no clipboard, the text is there to be selected.

for (const block of document.querySelectorAll("[data-copy]")) {
  const text = block.querySelector("pre");
  const button = block.querySelector("button");
  const said = block.querySelector("[role=status]");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(text);
      said.textContent = "Selected; copy it with the keyboard.";
    }
  });
}
