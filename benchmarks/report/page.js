// The table of pairs: sorts, filters, searches and pages through the rows that lie in the page as JSON.
(() => {
  const root = document.getElementById("pair-table");
  if (!root) return;
  const PAGE = 50;
  const MARK = { w: "✗", f: "–" };
  const KIND = { d: "disagreement", w: "wrong", f: "failed" };
  const rows = JSON.parse(document.getElementById("pair-rows").textContent).map(
    ([id, category, label, first, second, said, deciding], place) => {
      const kinds = ["d", "w", "f"].filter((kind) => said.some(([trouble]) => trouble.includes(kind)));
      return { place, id, category, label, first, second, said, deciding, kinds };
    });
  const find = (selector) => root.querySelector(selector);
  const [search, kind, detector, category] = ["search", "kind", "detector", "category"].map(
    (name) => document.getElementById(`pairs-${name}`));
  const body = find("tbody"), count = find("[role=status]");
  const [previous, next] = [find(".previous"), find(".next")];
  const names = [...detector.options].slice(1).map((option) => option.textContent);
  let shown = rows, start = 0, sorted = { column: "place", descending: false };

  const spoken = (text) => classed(element("span", text), "spoken");
  const word = (verdict) => (verdict === null ? "" : verdict ? "contradiction" : "not");

  function value(row, column) {
    if (column === "kind") return row.kinds.map((each) => KIND[each]).join();
    if (column === "label") return word(row.label);
    if (column === "texts") return row.first.join("");
    return typeof column === "number" ? row.said[column][2] : row[column];
  }

  function compare(a, b) {
    if (a === null || b === null) return (a === null) - (b === null);
    return typeof a === "number" ? a - b : collator.compare(a, b);
  }
  const collator = new Intl.Collator("en", { numeric: true });

  function sort() {
    const { column, descending } = sorted;
    const keyed = shown.map((row) => [value(row, column), row]);
    keyed.sort(([a, row], [b, other]) => {
      // Rows without a value stay last either way.
      const order = a === null || b === null || !descending ? compare(a, b) : compare(b, a);
      return order || row.place - other.place;
    });
    shown = keyed.map(([, row]) => row);
  }

  function fits(row) {
    const who = detector.value === "" ? row.said : [row.said[detector.value]];
    const troubled = who.some(([trouble]) => trouble && (!kind.value || trouble.includes(kind.value)));
    return troubled && (category.value === "" || row.category === categories[category.value]);
  }

  function haystack(row) {
    row.text ??= [row.id, row.category, row.first.join(""), row.second.join(""),
      ...row.said.map((each) => each[3])].join("\n").toLowerCase();
    return row.text;
  }

  function select() {
    const wanted = search.value.trim().toLowerCase();
    shown = rows.filter((row) => fits(row) && (!wanted || haystack(row).includes(wanted)));
    sort();
    show(0);
  }

  function show(from) {
    start = from;
    const end = Math.min(start + PAGE, shown.length);
    body.replaceChildren(...shown.slice(start, end).map(line));
    count.textContent = shown.length
      ? `${(start + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${shown.length.toLocaleString("en")} pairs`
      : "No pair fits.";
    previous.disabled = start === 0;
    next.disabled = end === shown.length;
  }

  function line(row) {
    const head = element("th", isolated(row.id || String(row.place + 1)));
    head.scope = "row";
    const kinds = element("td", ...row.kinds.map((each) => classed(element("span", KIND[each]), "kind")));
    const made = element("tr", head);
    const [first, second] = row.deciding ?? [null, null];
    const texts = element("div", ...texted("1", row.first, first), ...texted("2", row.second, second), ...toggle(row, made));
    made.append(classed(element("td", texts), "texts"), named("label", element("td", word(row.label))),
      ...row.said.map((each, place) => named(names[place], verdict(each))),
      named("kind", kinds), named("category", element("td", isolated(row.category))));
    return made;
  }

  function verdict([trouble, said, score, words]) {
    const mark = MARK[[..."wf"].find((each) => trouble.includes(each))];
    const told = said === null ? words.split(":")[0] : word(said);
    const cell = element("td", mark ? `${mark}\u00a0` : "", isolated(told));
    if (trouble.includes("w")) cell.append(spoken(" (wrong)"));
    if (score !== null) cell.append(classed(element("span", score.toFixed(3)), "score"));
    return classed(cell, `verdict${trouble.includes("w") || trouble.includes("f") ? " bad" : ""}`);
  }

  // On a narrow screen rows are cards, whose cells say by themselves what they hold.
  function named(name, cell) {
    cell.dataset.name = name;
    return cell;
  }

  function texted(number, pieces, deciding) {
    const whole = text(number, pieces);
    if (!deciding) return [whole];
    const part = text(number, deciding);
    part.querySelector("bdi").before(spoken(" the sentence that decided: "), "… ");
    part.append(" …");
    whole.classList.add("only-open");
    part.classList.add("only-closed");
    return [part, whole];
  }

  function text(number, pieces) {
    const label = classed(element("span", number, spoken(number === "1" ? "st text" : "nd text")), "which");
    return classed(element("p", label, markedText(pieces)), "text");
  }

  function toggle(row, made) {
    const shownNow = document.createTextNode("more");
    const button = element("button", shownNow, spoken(` of pair ${row.id || row.place + 1}`));
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    const reasons = classed(element("dl", ...row.said.flatMap(([, , , words], place) =>
      (words ? [element("dt", names[place]), element("dd", isolated(words))] : []))), "reasons");
    reasons.hidden = true;
    button.addEventListener("click", () => {
      reasons.hidden = !made.classList.toggle("open");
      shownNow.data = reasons.hidden ? "more" : "less";
      button.setAttribute("aria-expanded", String(!reasons.hidden));
    });
    return [button, reasons];
  }

  function sortBy(header) {
    const told = header.dataset.column;
    const column = /^\d+$/.test(told) ? Number(told) : told;
    const descending = sorted.column === column && !sorted.descending;
    sorted = { column, descending };
    root.querySelectorAll("thead th[aria-sort]").forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sort();
    show(0);
  }

  const categories = [...new Set(rows.map((row) => row.category))].sort(collator.compare);
  category.append(...categories.map((name, place) => {
    const option = element("option", name || "(none)");
    option.value = place;
    return option;
  }));
  root.querySelectorAll("thead th[data-column]").forEach((header) =>
    header.querySelector("button").addEventListener("click", () => sortBy(header)));
  search.addEventListener("input", select);
  [kind, detector, category].forEach((each) => each.addEventListener("change", select));
  previous.addEventListener("click", () => show(Math.max(0, start - PAGE)));
  next.addEventListener("click", () => show(start + PAGE));
  root.hidden = false;
  select();
})();
