"use strict";
// Tables are sorted by a click on a header, or Enter or Space on it; folded parts open when they are printed or linked to.
(function () {
  function sortKey(row, column) {
    const cell = row.cells[column];
    return "v" in cell.dataset ? parseFloat(cell.dataset.v) : cell.textContent.trim();
  }

  function missing(key) {
    return key === "" || key === "–" || Number.isNaN(key);
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sortBy(table, column) {
    const head = table.tHead.rows[0].cells;
    const direction = head[column].getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const cell of head) cell.setAttribute("aria-sort", "none");
    head[column].setAttribute("aria-sort", direction);
    const sign = direction === "ascending" ? 1 : -1;
    const rows = Array.from(table.tBodies[0].rows, (row) => [sortKey(row, column), row]);
    // What has no figure stays last either way; equals stay in the order that they had.
    rows.sort(([a], [b]) => (missing(a) || missing(b) ? missing(a) - missing(b) : sign * compare(a, b)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      button.addEventListener("click", () => sortBy(table, column));
      cell.append(button);
      cell.setAttribute("aria-sort", "none");
    });
  }

  function openAround(element) {
    for (let place = element; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  }

  function followHash() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) openAround(target);
  }

  const folded = [];
  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) {
      folded.push(details);
      details.open = true;
    }
  });
  addEventListener("afterprint", () => {
    for (const details of folded.splice(0)) details.open = false;
  });
  addEventListener("hashchange", followHash);
  followHash();
})();
