"use strict";
// What both scripts of the page make elements of. Every text becomes a text node; none is read as markup.
const element = (tag, ...children) => {
  const made = document.createElement(tag);
  made.append(...children);
  return made;
};
const classed = (made, name) => { made.className = name; return made; };
const isolated = (text) => { const made = element("bdi", text); made.dir = "auto"; return made; };
// pieces: of a text; every second one holds words that only it has.
const markedText = (pieces) => {
  const words = isolated("");
  words.append(...pieces.map((piece, place) => (place % 2 ? element("mark", piece) : piece)));
  return words;
};
