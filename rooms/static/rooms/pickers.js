// Gives what a people picker puts in place of its select the name of the form field: the widget leaves it unnamed.

const UNNAMED = ".select2-search__field, .select2-selection--single, .select2-selection__rendered[role=textbox]";

function nameParts() {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const label = select.labels?.[0]?.textContent.replace(":", "").trim();
    const parts = select.parentElement?.querySelectorAll(UNNAMED) ?? [];
    if (label) parts.forEach((part) => part.setAttribute("aria-label", label));
  }
}

// the widget is set up when the document is ready, by a handler that was registered before ours
document.addEventListener("DOMContentLoaded", () => setTimeout(nameParts));
