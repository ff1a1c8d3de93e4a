// Gives the search field inside a people picker the name of its form field: the widget's own has none.

function nameSearchFields() {
  for (const select of document.querySelectorAll("select.admin-autocomplete[multiple]")) {
    const search = select.parentElement?.querySelector(".select2-search__field");
    const label = select.labels?.[0];
    if (search && label) search.setAttribute("aria-label", label.textContent.replace(":", "").trim());
  }
}

// the widget is set up when the document is ready, by a handler that was registered before ours
document.addEventListener("DOMContentLoaded", () => setTimeout(nameSearchFields));
