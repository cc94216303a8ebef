
"use strict";
// Search, filters, sorting and folding. Without it the page has all its text, open.
document.documentElement.className = "js";

function button(holder) {
  const made = document.createElement("button");
  made.type = "button";
  made.append(...holder.childNodes);
  holder.append(made);
  return made;
}

class List {
  constructor(root) {
    this.root = root;
    this.table = root.querySelector(".list");
    this.rows = [...this.table.querySelectorAll("tbody.row")].map((body, number) => ({
      body, number, text: null, more: body.querySelector(".more"), cells: body.rows[0].cells,
    }));
    this.groups = [...this.table.querySelectorAll("tbody.group")];
    this.order = [...this.table.tBodies];
    this.words = root.querySelector("input[type=search]");
    this.keys = [...root.querySelectorAll("[data-key]")];
    this.fold = root.querySelector("button.all");
    for (const row of this.rows) this.prepare(row);
    for (const head of this.table.tHead.rows[0].cells) button(head).addEventListener("click", () => this.sort(head));
    this.words.addEventListener("input", () => this.filter());
    for (const one of this.keys) one.addEventListener("change", () => this.filter());
    for (const one of root.querySelectorAll("button.reset")) one.addEventListener("click", () => this.reset());
    this.fold.addEventListener("click", () => this.openAll());
    root.addEventListener("keydown", (event) => this.key(event));
    this.filter();
  }

  prepare(row) {
    row.button = button(row.cells[0].querySelector(".name"));
    row.more.id = `${row.body.id}-more`;
    row.button.setAttribute("aria-controls", row.more.id);
    this.open(row, false);
    row.button.addEventListener("click", () => this.open(row, !row.more.classList.contains("open")));
  }

  open(row, open) {
    row.more.classList.toggle("open", open);
    row.button.setAttribute("aria-expanded", String(open));
  }

  openAll() {
    const open = this.fold.textContent === "Open all";
    for (const row of this.visible()) this.open(row, open);
    this.fold.textContent = open ? "Close all" : "Open all";
  }

  visible() {
    return this.rows.filter((row) => !row.body.hidden);
  }

  filter() {
    const words = this.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = this.keys
      .map((one) => [one.dataset.key, one.type === "checkbox" ? (one.checked ? "yes" : "") : one.value])
      .filter(([, value]) => value !== "");
    let count = 0;
    for (const row of this.rows) {
      if (words.length && row.text === null) row.text = row.body.textContent.toLowerCase();
      const fits = wanted.every(([key, value]) => row.body.dataset[key] === value)
        && words.every((word) => row.text.includes(word));
      row.body.hidden = !fits;
      count += fits;
    }
    this.count(count);
  }

  count(count) {
    const all = this.rows.length;
    this.root.querySelector(".shown").textContent = count === all ? `All ${all} are shown.` : `${count} of ${all} are shown.`;
    this.root.querySelector(".none").hidden = count > 0;
    this.table.hidden = count === 0;
    this.titles();
  }

  titles() {
    const sorted = this.table.querySelector("[aria-sort]") !== null;
    for (const group of this.groups) {
      let next = group.nextElementSibling;
      while (next && next.classList.contains("row") && next.hidden) next = next.nextElementSibling;
      group.hidden = sorted || !next || !next.classList.contains("row");
    }
  }

  reset() {
    this.words.value = "";
    for (const one of this.keys) {
      if (one.type === "checkbox") one.checked = false;
      else one.value = "";
    }
    for (const head of this.table.tHead.rows[0].cells) head.removeAttribute("aria-sort");
    this.table.append(...this.order);
    this.filter();
    this.words.focus();
  }

  sort(head) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const one of this.table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const order = new Intl.Collator("en", {numeric: head.dataset.sort !== "text"});
    const at = head.cellIndex;
    const keyed = this.rows.map((row) => [row.cells[at].textContent.trim(), row]);
    keyed.sort(([one, first], [other, second]) => {
      if (!one !== !other) return one ? -1 : 1;
      const compared = order.compare(one, other);
      return (down ? -compared : compared) || first.number - second.number;
    });
    this.table.append(...keyed.map(([, row]) => row.body));
    this.titles();
  }

  key(event) {
    if (event.key === "Escape") {
      this.reset();
      event.preventDefault();
    }
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const shown = this.visible();
    const at = shown.findIndex((row) => row.button === document.activeElement);
    if (at < 0 && document.activeElement !== this.words) return;
    const next = event.key === "ArrowDown" ? at + 1 : at - 1;
    if (next >= shown.length) return;
    (next < 0 ? this.words : shown[next].button).focus();
    event.preventDefault();
  }
}

document.addEventListener("DOMContentLoaded", () => {
  const lists = [...document.querySelectorAll("section.distributions")].filter((one) => one.querySelector(".list"))
    .map((one) => new List(one));
  const follow = () => {
    const body = document.getElementById(location.hash.slice(1));
    for (const list of lists) {
      const row = list.rows.find((one) => one.body === body);
      if (!row) continue;
      if (body.hidden) list.reset();
      list.open(row, true);
      row.button.focus();
      body.scrollIntoView();
    }
  };
  addEventListener("hashchange", follow);
  follow();
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !lists.length) return;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    lists[0].words.focus();
    event.preventDefault();
  });
});
