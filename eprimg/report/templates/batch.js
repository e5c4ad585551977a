(function () {
  "use strict";
  var table = document.getElementById("studies");
  var body = table.tBodies[0];
  var rows = Array.prototype.slice.call(body.rows);
  var search = document.getElementById("search");
  var selects = Array.prototype.slice.call(document.querySelectorAll("select[data-column]"));
  var shown = document.getElementById("shown");
  var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });
  var timer = 0;

  function value(row, column) {
    return row.cells[column].getAttribute("data-v") || "";
  }

  function filter() {
    var words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    var count = 0;
    rows.forEach(function (row, number) {
      var visible = words.every(function (word) { return texts[number].indexOf(word) >= 0; });
      visible = visible && selects.every(function (select) {
        return !select.value || row.cells[+select.dataset.column].getAttribute("data-f") === select.value;
      });
      row.hidden = !visible;
      count += visible ? 1 : 0;
    });
    shown.textContent = count === rows.length
      ? "all " + rows.length + " studies"
      : count + " of " + rows.length + " studies";
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(filter, 120);
  }

  function sort(header) {
    var column = header.cellIndex;
    var up = header.getAttribute("aria-sort") !== "ascending";
    var sign = up ? 1 : -1;
    var numeric = header.hasAttribute("data-number");
    var keyed = rows.map(function (row, number) {
      var held = value(row, column);
      return { row: row, text: texts[number], place: number, empty: held === "", held: numeric ? +held : held };
    });
    keyed.sort(function (a, b) {
      if (a.empty !== b.empty) { return a.empty ? 1 : -1; } // nothing to compare: always last
      if (a.held < b.held) { return -sign; }
      if (a.held > b.held) { return sign; }
      return a.place - b.place;
    });
    rows = keyed.map(function (item) { return item.row; });
    texts = keyed.map(function (item) { return item.text; });
    var all = document.createDocumentFragment();
    rows.forEach(function (row) { all.appendChild(row); });
    body.appendChild(all);
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (cell) {
      cell.removeAttribute("aria-sort");
    });
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
  }

  search.addEventListener("input", later);
  selects.forEach(function (select) { select.addEventListener("change", filter); });
  table.tHead.addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (button) { sort(button.closest("th")); }
  });
  document.getElementById("tiles").addEventListener("click", function (event) {
    var button = event.target.closest("button");
    if (!button) { return; }
    var select = document.getElementById(button.dataset.select);
    select.value = select.value === button.dataset.value ? "" : button.dataset.value;
    filter();
  });
  document.getElementById("clear").addEventListener("click", function () {
    search.value = "";
    selects.forEach(function (select) { select.value = ""; });
    filter();
  });
  document.getElementById("controls").hidden = false;
  filter(); // a browser that goes back keeps what was typed
})();
