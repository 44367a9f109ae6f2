// The convolution explorer: what kernel, stride, padding, dilation, rounding and groups do to a small image.
// One file for both places: in JupyterLab explorer.py shows it as an anywidget, on a page of the book mount() does.
//
// All pure functions take v, an object with the settings below. Images are square, so one axis says everything:
// positions along it count from 0 at the first pixel, and are negative in the left (or upper) padding.

// Start, least and most of each setting that is a number. explorer.py has the same; a test compares them.
export const RANGES = {
  size: [8, 1, 10], kernel: [3, 1, 5], stride: [2, 1, 4], padding: [0, 0, 3], dilation: [1, 1, 3],
  channels: [1, 1, 4], groups: [1, 1, 4],
};
export const START = {
  operation: "convolution", ceil: false, channel: 0, row: 0, column: 0,
  ...Object.fromEntries(Object.entries(RANGES).map(([name, [start]]) => [name, start])),
};

// ---------------------------------------------------------------------------------------------- arithmetic

const upTo = (n) => Array.from({ length: Math.max(n, 0) }, (_, i) => i);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const isPooling = (v) => v.operation === "max pooling";
const isInside = (v, position) => position >= 0 && position < v.size;

/** Pixels from the first to the last weight of the kernel, with the gaps that dilation leaves. */
export const span = (v) => v.dilation * (v.kernel - 1) + 1;

/** Whole and broken steps that the window can make after its first place. */
const steps = (v) => (v.size + 2 * v.padding - span(v)) / v.stride;

/** ceil_mode has one window more, unless it would start beyond the last column. Only pooling has ceil_mode. */
const roundsUp = (v) => isPooling(v) && v.ceil && !Number.isInteger(steps(v));
const extraWindowStartsOutside = (v) => Math.ceil(steps(v)) * v.stride >= v.size + v.padding;

/** Rows of the output, and its columns: floor((n + 2p - d(k-1) - 1) / s) + 1. Zero or less: refused. */
export function outputSize(v) {
  const extra = roundsUp(v) && !extraWindowStartsOutside(v);
  return Math.floor(steps(v)) + 1 + (extra ? 1 : 0);
}

/** Positions along one axis that output number i sees, in the padding too. */
export const positions = (v, i) => upTo(v.kernel).map((m) => i * v.stride - v.padding + m * v.dilation);

/** Columns of the image that no window sees. */
export function unseen(v) {
  const seen = new Set(upTo(outputSize(v)).flatMap((i) => positions(v, i)));
  return upTo(v.size).filter((column) => !seen.has(column));
}

/** Input channels that output channel number v.channel sees. There are as many output channels as input channels. */
export function seenChannels(v) {
  if (isPooling(v)) return [v.channel];
  const each = v.channels / v.groups;
  const first = Math.floor(v.channel / each) * each;
  return upTo(each).map((i) => first + i);
}

// Small whole numbers that look irregular, so that a sum can be followed.
export function pixel(v, channel, row, column) {
  if (!isInside(v, row) || !isInside(v, column)) return isPooling(v) ? -Infinity : 0;
  return (row * row + 2 * column * column + 3 * row * column + column + channel * (row + 2 * column + 3)) % 7;
}
export const weight = (output, input, i, j) => ((2 * i + 3 * j + i * j + input + 2 * output) % 4) - 1;

/** Everything that the chosen output (v.channel, v.row, v.column) sees, in reading order. */
export function terms(v) {
  const rows = positions(v, v.row), columns = positions(v, v.column);
  return seenChannels(v).flatMap((input) => rows.flatMap((row, i) => columns.map((column, j) => ({
    input, row, column, i, j,
    pixel: pixel(v, input, row, column),
    weight: weight(v.channel, input, i, j),
    padding: !isInside(v, row) || !isInside(v, column),
  }))));
}

/** The chosen output: a sum of products, or the largest pixel. */
export function value(v) {
  return isPooling(v) ? Math.max(...terms(v).map((t) => t.pixel)) : sum(terms(v).map((t) => t.pixel * t.weight));
}

// ---------------------------------------------------------------------------------------------- words

const number = (x) => (x === -Infinity ? "−∞" : String(+x.toFixed(2)).replace("-", "−"));
const several = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const last = (n, word) => `the last ${n === 1 ? word : several(n, word)}`;
const list = (items) => (items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
const named = (word, items) => `${word}${items.length > 1 ? "s" : ""} ${list(items.map(number))}`;

/** Why PyTorch refuses these settings, in our words and in its own; null where it does not. */
export function refusal(v) {
  const { size, kernel, padding, dilation, channels, groups } = v;
  const window = span(v), padded = size + 2 * padding, out = outputSize(v);
  if (!isPooling(v) && channels % groups) return {
    reason: `${several(channels, "channel")} cannot be cut into ${groups} equal groups.`,
    pytorch: "in_channels must be divisible by groups",
  };
  if (isPooling(v) && padding > kernel / 2) return {
    reason: `padding ${padding} is more than half of the kernel ${kernel}, the most that PyTorch allows a pooling.`,
    pytorch: padding > window / 2
      ? `pad should be at most half of effective kernel size, but got pad=${padding}, kernel_size=${kernel} and `
        + `dilation=${dilation}`
      : `pad should be smaller than or equal to half of kernel size, but got padW = ${padding}, padH = ${padding}, `
        + `kW = ${kernel}, kH = ${kernel}`,
  };
  if (out < 1) return {
    reason: `a window of ${covered(v)} does not fit into ${padding ? `${size} + 2·${padding} = ` : ""}${padded}.`,
    pytorch: isPooling(v)
      ? `Given input size: (${channels}x${size}x${size}). Calculated output size: (${channels}x${out}x${out}). `
        + "Output size is too small"
      : `Calculated padded input size per channel: (${padded} x ${padded}). Kernel size: (${window} x ${window}). `
        + "Kernel size can't be greater than actual input size",
  };
  return null;
}

/** The span of the window, worked out where dilation widens it. */
function covered(v) {
  const pixels = several(span(v), "pixel");
  return span(v) > v.kernel ? `${v.dilation}·(${v.kernel} − 1) + 1 = ${pixels}` : pixels;
}

/** Sentences on the size of the output and on what is dropped, or on why PyTorch refuses. */
export function explain(v) {
  const refused = refusal(v);
  if (refused) return [`PyTorch refuses: ${refused.reason}`];
  const out = outputSize(v), exact = steps(v);
  const division = `(${v.size}${v.padding ? ` + 2·${v.padding}` : ""} − ${span(v)})/${v.stride}`;
  const rounded = Number.isInteger(exact) ? "" : `, rounded ${out - 1 > exact ? "up" : "down"} to ${out - 1}`;
  const sentences = [
    `${division} = ${number(exact)}${rounded}, and one more for the first place: ${out} x ${out} outputs.`,
    ...explainLosses(v, division),
  ];
  if (span(v) > v.kernel) sentences.unshift(`With dilation ${v.dilation} the window covers ${covered(v)}.`);
  return sentences;
}

function explainLosses(v, division) {
  const missed = unseen(v);
  const end = (outputSize(v) - 1) * v.stride - v.padding + span(v); // one past the last window
  const edge = missed.filter((column) => column >= end), between = missed.filter((column) => column < end);
  const over = end - v.size - v.padding; // positions of the last window beyond all padding
  const sentences = [];

  if (roundsUp(v) && extraWindowStartsOutside(v))
    sentences.push("Rounding up would add a window that starts beyond the last column: PyTorch leaves it out.");
  if (missed.length === v.size) return [...sentences, "No window touches a pixel: they see padding only."];

  if (over > 0)
    sentences.push(`The last window hangs ${several(over, "column")} over the edge; what lies there counts as −∞.`);
  else if (over === 0)
    sentences.push(`${division} is whole: the last window ends exactly at the edge.`);
  else if (edge.length)
    sentences.push(`${division} is not whole: ${last(edge.length, "column")} ${edge.length > 1 ? "are" : "is"} `
      + `never seen, nor ${last(edge.length, "row")}.`);
  else
    sentences.push(`${division} is not whole, but what is cut off on the right and below is only padding.`);

  if (between.length) {
    const steppedOver = between.filter((column) => (column + v.padding) % v.stride >= span(v));
    const rows = between.length > 1 ? "rows" : "row", why = [
      steppedOver.length && `the stride ${v.stride} is larger than the window ${span(v)}`,
      steppedOver.length < between.length && `dilation ${v.dilation} leaves gaps between the weights`,
    ].filter(Boolean).join(", and ");
    sentences.push(`No window sees ${named("column", between)}, nor the same ${rows}: ${why}.`);
  }
  if (!missed.length) sentences.push("Every pixel is seen.");
  return sentences;
}

/** One sentence on the chosen output. */
export function describe(v) {
  const all = terms(v), padding = all.filter((t) => t.padding).length;
  const what = isPooling(v)
    ? `the largest of ${several(all.length, "number")}` : `the sum of ${several(all.length, "product")}`;
  const where = `${named("row", positions(v, v.row))}, ${named("column", positions(v, v.column))}`;
  const channels = v.channels > 1 ? ` of input ${named("channel", seenChannels(v))}` : "";
  const inPadding = padding < all.length ? `${padding} of them in the padding`
    : `${padding > 1 ? "all" : "it lies"} in the padding`;
  const name = `${v.channels > 1 ? `channel ${v.channel}, ` : ""}row ${v.row}, column ${v.column}`;
  return `Output ${name} is ${number(value(v))}: ${what} in ${where}${channels}`
    + `${padding ? `; ${inPadding}` : ""}.`;
}

/** The numbers themselves: one line for each input channel that is seen, and one for their sum. */
export function written(v) {
  const all = terms(v);
  if (isPooling(v)) return [`max(${all.map((t) => number(t.pixel)).join(", ")}) = ${number(value(v))}`];
  const factor = (x) => (x < 0 ? `(${number(x)})` : number(x));
  const parts = seenChannels(v).map((input) => all.filter((t) => t.input === input));
  const sums = parts.map((part) => sum(part.map((t) => t.pixel * t.weight)));
  const lines = parts.map((part, n) =>
    `${part.map((t) => `${number(t.pixel)}·${factor(t.weight)}`).join(" + ")} = ${number(sums[n])}`);
  return sums.length > 1 ? [...lines, `${sums.map(factor).join(" + ")} = ${number(value(v))}`] : lines;
}

// ---------------------------------------------------------------------------------------------- on the page

// The colours follow the browser, unless the book's theme or JupyterLab's says otherwise.
const STYLE = `
html[data-theme="light"], body[data-jp-theme-light="true"] { .convolution-explorer { color-scheme: light; } }
html[data-theme="dark"], body[data-jp-theme-light="false"] { .convolution-explorer { color-scheme: dark; } }
.convolution-explorer {
  --back: light-dark(#ffffff, #14181d); --text: light-dark(#1b1f24, #e6e9ed); --soft: light-dark(#565e68, #a9b1bb);
  --line: light-dark(#767e88, #7f8893); --frame: light-dark(#005a93, #7cc4f5); --window: light-dark(#cfe7f7, #123f5e);
  --loss: light-dark(#a83e00, #ff9d6b); --pad: light-dark(#e9ebee, #2b3138); --stripe: light-dark(#b9c0c8, #4a535e);
  color-scheme: light dark; container-type: inline-size; width: 100%; box-sizing: border-box; margin: 1rem 0;
  padding: 0.75rem; border: 1px solid var(--line); border-radius: 6px; background: var(--back); color: var(--text);
  font: 1rem/1.45 system-ui, sans-serif;

  p, ul, table { margin: 0.5rem 0; color: inherit; }
  [hidden] { display: none !important; }
  :focus-visible { outline: 3px solid var(--frame); outline-offset: 1px; }

  .settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: 0.25rem 1rem; }
  label { display: block; margin: 0; font-size: 0.9rem; }
  label:has(:disabled) { color: var(--soft); }
  label:has([type="checkbox"]) { grid-column: span 2; align-self: end; }
  select, button, input { font: inherit; min-height: 28px; accent-color: var(--frame); }
  select, input[type="range"] { display: block; width: 100%; margin: 0; }
  input[type="checkbox"] { width: 24px; height: 24px; vertical-align: middle; }
  select, button { color: var(--text); background: var(--back); border: 1px solid var(--line); border-radius: 4px; }
  button { min-height: 32px; min-width: 4.5rem; margin-right: 0.4rem; }
  button:disabled { color: var(--soft); border-style: dashed; }

  .verdict { border-left: 4px solid var(--frame); padding-left: 0.6rem; }
  .refused { border-left-color: var(--loss); font-weight: 600; }
  .pytorch { font: 0.85rem/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
  .written { font-variant-numeric: tabular-nums; padding-left: 0; list-style: none; }
  .soft { font-size: 0.85rem; color: var(--soft); }

  .maps { display: flex; flex-wrap: wrap; gap: 0 1.2rem; align-items: flex-start; }
  table {
    --cell: min(2rem, calc(99cqi / var(--columns))); display: table; width: auto; table-layout: fixed;
    border: 0; border-collapse: collapse; background: none; font-variant-numeric: tabular-nums;
  }
  caption { padding: 0; caption-side: top; text-align: left; font-size: 0.9rem; color: inherit; }
  tr, th, td { background: none; border: 0; }
  th, td {
    width: var(--cell); min-width: var(--cell); height: var(--cell); padding: 0; box-sizing: border-box;
    text-align: center; vertical-align: middle; line-height: 1; font-size: min(0.95rem, calc(var(--cell) * 0.6));
  }
  th { font-weight: 400; color: var(--soft); font-size: min(0.75rem, calc(var(--cell) * 0.5)); }
  tbody td { border: 1px solid var(--line); }
  td small { display: block; font-size: 0.68em; font-weight: 400; margin-top: 1px; }
  .pad { background: repeating-linear-gradient(45deg, var(--pad) 0 4px, var(--stripe) 4px 5px); }
  .lost { background: linear-gradient(to top right, transparent 48%, var(--loss) 48% 51%, transparent 51%); }
  .seen { background-color: var(--window); outline: 2px solid var(--frame); outline-offset: -2px; font-weight: 700; }
  .input caption, .kernel caption, .output caption { white-space: nowrap; }
  .output { --cell: max(26px, min(2rem, calc(99cqi / var(--columns)))); touch-action: manipulation; }
  .output tbody td { cursor: pointer; }
  .output-frame { overflow-x: auto; max-width: 100%; padding: 3px; margin: -3px; }
  .channels { --cell: 3rem; }
  .swatch {
    display: inline-block; width: 1.1rem; height: 1.1rem; vertical-align: text-bottom;
    margin: 0 0.3rem 0 0.8rem; border: 1px solid var(--line);
  }
}
`;

function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, content] of Object.entries(attributes)) element.setAttribute(name, content);
  element.append(...children);
  return element;
}

/** A table of cells, with the numbers of its rows and columns around it. */
function grid(attributes, caption, rows, columns, cell) {
  const top = columns.map((column) => h("th", { scope: "col" }, number(column)));
  const body = rows.map((row) =>
    h("tr", {}, h("th", { scope: "row" }, number(row)), ...columns.map((column) => cell(row, column))));
  return h("table", { style: `--columns: ${columns.length + 1}`, ...attributes },
    h("caption", {}, caption), h("thead", {}, h("tr", {}, h("td", {}), ...top)), h("tbody", {}, ...body));
}

/** Draw the explorer into el. The model has get, set, on and save_changes, as anywidget's. Returns its clean-up. */
function render({ model, el }) {
  const v = () => {
    const all = Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
    const last = Math.max(outputSize(all) - 1, 0); // a smaller output may not have the chosen cell any more
    const [row, column] = [all.row, all.column].map((i) => Math.min(i, last));
    return { ...all, row, column, channel: Math.min(all.channel, all.channels - 1) };
  };
  const change = (values) => {
    for (const [name, content] of Object.entries(values)) model.set(name, content);
    model.save_changes();
  };

  // Settings: native inputs with labels.
  const slider = (name) => {
    const [, least, most] = RANGES[name];
    const shown = h("b", {}), input = h("input", { type: "range", min: least, max: most, name });
    input.addEventListener("input", () => change({ [name]: Number(input.value) }));
    return { name, input, shown, field: h("label", {}, `${name[0].toUpperCase()}${name.slice(1)} `, shown, input) };
  };
  const sliders = Object.keys(RANGES).map(slider);
  const operation = h("select", { name: "operation" }, h("option", {}, "convolution"), h("option", {}, "max pooling"));
  operation.addEventListener("change", () => change({ operation: operation.value }));
  const ceil = h("input", { type: "checkbox", name: "ceil" });
  ceil.addEventListener("change", () => change({ ceil: ceil.checked }));
  const channel = h("select", { name: "channel" });
  channel.addEventListener("change", () => change({ channel: Number(channel.value) }));
  const ceilField = h("label", {}, ceil, " Round up: ceil_mode, for pooling");
  const channelField = h("label", {}, "Output channel", channel);
  const settings = h("div", { class: "settings" }, h("label", {}, "Operation", operation),
    ...sliders.map((s) => s.field), channelField, ceilField);

  // What is shown. Sentences are announced by screen readers when they change.
  const verdict = h("p", { class: "verdict", role: "status" }), pytorch = h("p", { class: "pytorch" });
  const maps = h("div", { class: "maps" });
  const sentence = h("p", { role: "status" }), sums = h("ul", { class: "written" });
  const swatches = [["seen", "seen by the chosen output"], ["pad", "padding"], ["lost", "never seen"]];
  const legend = h("p", { class: "soft" }, "In the input:",
    ...swatches.flatMap(([kind, text]) => [h("span", { class: `swatch ${kind}` }), text]));
  const back = h("button", { type: "button" }, "Back"), play = h("button", { type: "button" }, "Play");
  const next = h("button", { type: "button" }, "Next"), where = h("span", {}), still = h("span", { class: "soft" });
  const player = h("p", {}, back, play, next, where, still);
  el.classList.add("convolution-explorer");
  el.replaceChildren(h("style", {}, STYLE), settings, verdict, pytorch, maps, player, sentence, sums, legend);
  let inputs = [], outputs = []; // the cells, so that choosing another output need not draw them again

  /** After a change of settings: the sentences, and the tables from scratch. */
  function draw() {
    const now = v(), refused = refusal(now), pooling = isPooling(now);
    for (const { name, input, shown } of sliders) {
      input.value = now[name];
      shown.textContent = now[name];
      input.disabled = name === "groups" && pooling;
    }
    operation.value = now.operation;
    ceil.checked = now.ceil;
    ceil.disabled = !pooling;
    channelField.hidden = now.channels === 1;
    channel.replaceChildren(...upTo(now.channels).map((c) => h("option", {}, String(c))));
    channel.value = now.channel;
    verdict.textContent = explain(now).join(" ");
    verdict.classList.toggle("refused", refused !== null);
    pytorch.textContent = refused ? `PyTorch's words: ${refused.pytorch}` : "";
    for (const part of [player, sentence, sums, legend]) part.hidden = refused !== null;
    if (refused) stop();
    maps.replaceChildren(...(refused ? [] : tables(now)));
    inputs = [...maps.querySelectorAll("table.input tbody td")];
    outputs = [...maps.querySelectorAll("table.output tbody td")];
    if (!refused) mark();
  }

  function tables(now) {
    const lost = new Set(unseen(now)), out = upTo(outputSize(now)), many = now.channels > 1;
    const end = Math.max(now.size + now.padding, positions(now, out.length - 1).at(-1) + 1);
    const around = upTo(end + now.padding).map((i) => i - now.padding);
    const ofChannel = (c) => (many ? `, channel ${c}` : "");
    const parts = seenChannels(now).map((input) => {
      const image = grid({ class: "input" }, `Input${ofChannel(input)}`, around, around, (row, column) => {
        const padding = !isInside(now, row) || !isInside(now, column);
        const kind = padding ? "pad" : lost.has(row) || lost.has(column) ? "lost" : "";
        return h("td", { class: kind, "data-at": `${input},${row},${column}` });
      });
      const ks = upTo(now.kernel);
      const kernel = grid({ class: "kernel" }, `Kernel${ofChannel(input)}`, ks, ks,
        (i, j) => h("td", {}, number(weight(now.channel, input, i, j))));
      return h("div", { class: "maps" }, image, ...(isPooling(now) ? [] : [kernel]));
    });
    const output = grid({ class: "output", role: "grid", "aria-label": "Output: choose a cell with the arrow keys" },
      `Output${ofChannel(now.channel)}`, out, out, (row, column) =>
        h("td", { "data-at": `${row},${column}` }, number(value({ ...now, row, column }))));
    listen(output);
    const connections = grid({ class: "channels" }, "Which input channels (across) each output channel (down) sees",
      upTo(now.channels), upTo(now.channels), (c, input) => {
        const sees = seenChannels({ ...now, channel: c }).includes(input);
        return h("td", { class: sees && c === now.channel ? "seen" : "" }, sees ? "sees" : "–");
      });
    return [...parts, h("div", { class: "output-frame" }, output), ...(many ? [connections] : [])];
  }

  /** After another output was chosen: light what it sees. */
  function mark() {
    const now = v(), all = terms(now), result = value(now);
    const winner = isPooling(now) && all.find((t) => t.pixel === result);
    const at = new Map(all.map((t) => [`${t.input},${t.row},${t.column}`, t]));
    for (const cell of inputs) {
      const [input, row, column] = cell.dataset.at.split(",").map(Number), term = at.get(cell.dataset.at);
      cell.classList.toggle("seen", term !== undefined);
      cell.textContent = number(pixel(now, input, row, column));
      if (term && !winner) cell.append(h("small", {}, `·${number(term.weight)}`));
      if (term && term === winner) cell.append(h("small", {}, "max"));
    }
    for (const cell of outputs) {
      const chosen = cell.dataset.at === `${now.row},${now.column}`;
      cell.classList.toggle("seen", chosen);
      cell.setAttribute("aria-selected", chosen);
      cell.tabIndex = chosen ? 0 : -1;
      if (chosen) bringIntoView(cell);
    }
    sentence.textContent = describe(now);
    sums.replaceChildren(...written(now).map((line) => h("li", {}, line)));
    where.textContent = `${now.row * outputSize(now) + now.column + 1} of ${outputs.length} `;
  }

  /** Scroll the frame alone, never the page, to the cell and the one before it: the row's number, at the first. */
  function bringIntoView(cell) {
    const frame = cell.closest(".output-frame"), first = cell.offsetLeft - cell.offsetWidth;
    const padding = frame.scrollWidth - cell.closest("table").offsetWidth;
    const end = cell.offsetLeft + cell.offsetWidth + padding;
    frame.scrollLeft = Math.max(end - frame.clientWidth, Math.min(frame.scrollLeft, first));
  }

  let due = false;
  /** Row and column change one after the other: mark once, after both. */
  function markSoon() {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      mark();
    });
  }

  // Choosing an output: mouse, touch, keyboard, or the player.
  function listen(table) {
    const choose = (event) => {
      const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest("td[data-at]");
      if (!cell || !table.contains(cell)) return;
      const [row, column] = cell.dataset.at.split(",").map(Number);
      change({ row, column });
    };
    table.addEventListener("pointerdown", choose);
    table.addEventListener("pointermove", (event) => event.buttons && choose(event));
    table.addEventListener("keydown", (event) => {
      const { row, column, ...rest } = v(), most = outputSize(rest) - 1;
      const to = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
        ArrowRight: [row, column + 1], Home: [row, 0], End: [row, most] }[event.key];
      if (!to || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const [down, across] = to.map((i) => Math.min(Math.max(i, 0), most));
      change({ row: down, column: across });
      outputs[down * (most + 1) + across].focus();
    });
  }
  // JupyterLab and slides take arrow keys, Space and letters for themselves, unless the event never reaches them.
  // Escape gives the keys back to them; a presenter's remote control, which sends PageDown, is theirs at all times.
  el.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || ["PageUp", "PageDown"].includes(event.key)) return;
    event.stopPropagation();
    if (event.key !== "Escape") return;
    document.activeElement.blur();
    el.closest("[tabindex]")?.focus(); // JupyterLab hears only keys that go to a cell
  });

  function go(by) {
    const now = v(), out = outputSize(now), to = (now.row * out + now.column + by + out * out) % (out * out);
    change({ row: Math.floor(to / out), column: to % out });
  }
  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    sentence.setAttribute("aria-live", "polite");
  }
  function start() {
    play.textContent = "Pause";
    sentence.setAttribute("aria-live", "off"); // a screen reader could not keep up
    timer = setInterval(() => go(1), 900);
  }
  play.addEventListener("click", () => (timer ? stop() : start()));
  back.addEventListener("click", () => go(-1));
  next.addEventListener("click", () => go(1));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const obey = () => {
    if (calm.matches) stop();
    play.disabled = calm.matches;
    still.textContent = calm.matches ? "(no Play: your system asks for less motion)" : "";
  };
  calm.addEventListener("change", obey);

  for (const name of Object.keys(START))
    model.on(`change:${name}`, ["row", "column"].includes(name) ? markSoon : draw);
  draw();
  obey();
  return () => {
    stop();
    calm.removeEventListener("change", obey);
  };
}

/** A model without Python behind it; values are texts, as in the data attributes of an element. */
export function standIn(values = {}) {
  const state = { ...START }, listeners = [];
  for (const [name, text] of Object.entries(values))
    if (name in START) state[name] = typeof START[name] === "string" ? text : JSON.parse(text);
  return {
    get: (name) => state[name],
    set(name, content) {
      if (state[name] === content) return;
      state[name] = content;
      for (const [event, listener] of listeners) if (event === `change:${name}`) listener();
    },
    on: (event, listener) => listeners.push([event, listener]),
    save_changes() {},
  };
}

/** Every <div class="convolution-explorer" data-size="8" data-kernel="3" ...> of a page becomes an explorer. */
export function mount(page) {
  for (const el of page.querySelectorAll("div.convolution-explorer")) render({ model: standIn(el.dataset), el });
}

export default { render };
