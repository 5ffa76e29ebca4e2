// The place to label: one pair at a time, by keys. Labels are kept in the browser, exported and imported; or, where
// a server gave the page (`served`: who labels, and the labels of its file), sent to it. What detectors say of a pair is shown once
// it has a label.
(() => {
  const root = document.getElementById("labelling");
  if (!root) return;
  const { run, detectors, rows, served } = JSON.parse(document.getElementById("label-rows").textContent);
  const pairs = rows.map(([place, id, block, probability, label, first, second, category, said]) => (
    { place, id, block, probability, label, first, second, category, said }));
  const KEY = `kimera-labels:${run}`;
  const WORDS = { contradiction: "contradiction", not_contradiction: "no contradiction", cannot_tell: "cannot tell" };
  const BLOCKS = {
    random: "Drawn at random", mislabelled: "Has a label that is probably wrong", next: "To label next",
  };
  const ACTS = { c: "contradiction", n: "not_contradiction", t: "cannot_tell", s: "skip", u: "undo", e: "edit" };
  const find = (selector) => root.querySelector(selector);
  const [card, progress, last, told] = [".label-card", ".label-progress", ".label-last", ".label-told"].map(find);
  const [note, who, file] = ["note", "who", "import"].map((name) => document.getElementById(`label-${name}`));
  const fresh = () => ({ who: "", given: {}, skipped: [], history: [] });
  let state = fresh(), current = null;

  const named = (pair) => pair.id || String(pair.place + 1);

  function restore() {
    try {
      const kept = served ?? JSON.parse(localStorage.getItem(KEY));
      state = { ...fresh(), ...kept };
    } catch {
      state = fresh();
    }
    who.value = state.who;
    who.readOnly = Boolean(served?.who);  // as the command was told
    show(following());
  }

  function keep() {
    if (served) return;
    try {
      localStorage.setItem(KEY, JSON.stringify(state));
    } catch {
      told.textContent = "This browser keeps nothing for this page: export the labels before you close it.";
    }
  }

  const open = () => pairs.filter((pair) => !Object.hasOwn(state.given, pair.place));

  function following() {
    const left = open();
    const unseen = left.filter((pair) => !state.skipped.includes(pair.place));
    if (!unseen.length) state.skipped = [];  // those that were skipped come again
    return unseen[0] ?? left[0] ?? null;
  }

  function count() {
    const done = pairs.length - open().length;
    progress.textContent = `${done.toLocaleString("en")} of ${pairs.length.toLocaleString("en")} pairs labelled`;
  }

  function show(pair) {
    current = pair;
    count();
    if (!pair) {
      card.replaceChildren(element("p", `Every pair on this page has a label.${served ? "" : " Export them."}`));
      return;
    }
    note.value ||= unsaved[pair.place] ?? "";
    delete unsaved[pair.place];
    const block = classed(element("p", `${BLOCKS[pair.block]}. Pair `, isolated(named(pair))), "block");
    card.replaceChildren(block, text("1", pair.first), text("2", pair.second));
  }

  function text(number, pieces) {
    return element("p", classed(element("span", number), "which"), markedText(pieces));
  }

  const word = (verdict) => (verdict ? "contradiction" : "no contradiction");

  function reveal(pair) {
    const lines = [element("p", "Pair ", isolated(named(pair)), `: you said ${WORDS[state.given[pair.place].label]}.`)];
    if (pair.label !== null) lines.push(element("p", `The dataset says ${word(pair.label)}.`));
    pair.said.forEach(([verdict, score, words], place) => lines.push(element("p", isolated(detectors[place]), ": ",
      verdict === null ? "" : `${word(verdict)}, score ${score.toFixed(3)}. `, isolated(words))));
    last.replaceChildren(...lines);
  }

  function give(label) {
    state.given[current.place] = { label, note: note.value, who: who.value, when: new Date().toISOString() };
    state.history.push(current.place);
    note.value = "";
    reveal(current);
    if (served) send(current);
  }

  // One after the other, so that of two labels of one pair the later one is the later line.
  let sent = Promise.resolve();
  const unsaved = {};  // notes, by place

  function send(pair) {
    const line = { place: pair.place, ...state.given[pair.place] };
    const headers = { "Content-Type": "application/json" };
    sent = sent.then(() => fetch("labels", { method: "POST", headers, body: JSON.stringify(line), keepalive: true }))
      .then((response) => { if (!response.ok) throw new Error(response.statusText); })
      .catch(() => {
        delete state.given[pair.place];  // it is asked again, after the pair that is being looked at
        unsaved[pair.place] = line.note;
        if (current) count();
        else show(pair);
        told.textContent = "This label is not saved. Is kimera label still running?";
      });
  }

  function undo() {
    const place = state.history.pop();
    const pair = pairs.find((each) => each.place === place);
    if (!pair) return following();
    note.value = state.given[place]?.note ?? "";
    delete state.given[place];
    state.skipped = state.skipped.filter((each) => each !== place);
    last.replaceChildren();
    return pair;
  }

  function act(name) {
    told.textContent = "";
    if (name === "edit") return note.focus();
    let pair;
    if (name === "undo") {
      pair = undo();
    } else if (current) {
      if (name === "skip") {
        state.skipped.push(current.place);
        state.history.push(current.place);
        note.value = "";
        last.replaceChildren();
      } else {
        give(name);
      }
      pair = following();
    } else {
      return;
    }
    keep();
    show(pair);
  }

  function exported() {
    return pairs.filter((pair) => Object.hasOwn(state.given, pair.place)).map((pair) => JSON.stringify({
      id: pair.id, place: pair.place, ...state.given[pair.place], block: pair.block, probability: pair.probability, run,
    })).map((line) => `${line}\n`).join("");
  }

  function download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([exported()], { type: "application/x-ndjson" }));
    link.download = "labels.jsonl";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function taken(line) {
    let given;
    try { given = JSON.parse(line); } catch { return false; }
    const pair = pairs.find((each) => each.place === given?.place && each.id === given.id);
    if (!pair || !Object.hasOwn(WORDS, given.label)) return false;
    if (!Object.hasOwn(state.given, pair.place)) {
      const [noted, by, when] = [given.note, given.who, given.when].map((each) => String(each ?? ""));
      state.given[pair.place] = { label: given.label, note: noted, who: by, when };
    }
    return true;
  }

  async function take() {
    const lines = (await file.files[0].text()).split("\n").filter((line) => line.trim());
    const known = lines.filter(taken).length;
    file.value = "";
    keep();
    show(following());
    told.textContent = known === lines.length ? `${known} labels are read; labels that were here stay as they were.`
      : `${known} of ${lines.length} lines are read; the others are no labels of pairs on this page.`;
  }

  root.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT") {
      if (event.target === note && (event.key === "Enter" || event.key === "Escape")) card.focus();
      return;
    }
    const name = ACTS[event.key.toLowerCase()];
    if (!name || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    event.preventDefault();
    act(name);
  });
  root.querySelectorAll("[data-act]").forEach((button) =>
    button.addEventListener("click", () => act(button.dataset.act)));
  who.addEventListener("input", () => { state.who = who.value; keep(); });
  if (!served) {
    find(".label-export").addEventListener("click", download);
    file.addEventListener("change", () => { if (file.files.length) take(); });
    addEventListener("storage", (event) => { if (event.key === KEY) restore(); });
  }
  root.hidden = false;
  restore();
})();
