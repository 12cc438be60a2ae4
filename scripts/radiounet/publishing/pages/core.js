// Data, elements, numbers and positions: what all pages of the results site use.
"use strict";

const Site = (() => {
  const data = new Map();
  const waiting = new Map();

  // Called by every data script. A page that was opened as a file may load scripts, and nothing else.
  function load(name, content) {
    data.set(name, content);
  }

  function need(name) {
    if (!waiting.has(name)) {
      waiting.set(name, new Promise((resolve, reject) => {
        if (data.has(name)) {
          resolve(data.get(name));
          return;
        }
        const script = document.createElement("script");
        script.src = `site/data/${name.split("/").map(encodeURIComponent).join("/")}.js`;
        script.onload = () => (data.has(name) ? resolve(data.get(name)) : reject(new Error(`no data in ${name}`)));
        script.onerror = () => {
          waiting.delete(name);
          reject(new Error(`the data of ${name} cannot be loaded`));
        };
        document.head.append(script);
      }));
    }
    return waiting.get(name);
  }

  const SVG = new Set(["svg", "path", "circle", "ellipse", "line", "text", "g", "rect", "title"]);

  // Every text becomes a text node: nothing of the data is ever parsed as markup.
  function h(tag, attributes, ...children) {
    const element = SVG.has(tag)
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
    return element;
  }

  const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  const raised = (power) => String(power).replace(/./g, (one) => SUPERSCRIPT[one] || one);
  const minus = (text) => text.replace(/-/g, "−");
  const UNITS = {
    "arcmin2": "arcmin²", "uJy / arcsec2": "µJy arcsec⁻²", "uJy / beam": "µJy/beam", "W / Hz": "W Hz⁻¹",
    "solMass": "M☉", "deg": "°",
  };
  const unit = (text) => UNITS[text] || text;
  const TOO_LONG = 1e5;
  // Its power of ten after it is rounded: that of 9.999 with two digits is 1.
  const power = (value, digits) => Number(value.toExponential(digits - 1).split("e")[1]);

  // A value with its error, the error with two significant digits at most.
  function number(value, digits = 3, error = null) {
    if (value === null || value === undefined) return "–";
    if (Math.abs(value) >= TOO_LONG) {
      const tens = power(value, 3);
      const scaled = value / 10 ** tens;
      if (!(error > 0)) return `${minus(scaled.toFixed(2))} × 10${raised(tens)}`;
      return `(${minus(scaled.toFixed(2))} ± ${(error / 10 ** tens).toFixed(2)}) × 10${raised(tens)}`;
    }
    if (error > 0) {
      const places = Math.min(Math.max(1 - power(error, 2), 0), 4);
      return `${minus(value.toFixed(places))} ± ${error.toFixed(places)}`;
    }
    const places = Math.min(digits, Math.max(0, 3 - power(value, 4)));
    return minus(value.toFixed(places));
  }

  function sexagesimal(hours, places, signed) {
    const scale = 10 ** places;
    let ticks = Math.round(Math.abs(hours) * 3600 * scale);
    if (!signed) ticks %= 24 * 3600 * scale;
    const seconds = (ticks % (60 * scale)) / scale;
    const minutes = Math.floor(ticks / (60 * scale)) % 60;
    const whole = Math.floor(ticks / (3600 * scale));
    const two = (one) => String(one).padStart(2, "0");
    const last = seconds.toFixed(places).padStart(places ? places + 3 : 2, "0");
    return [(signed ? (hours < 0 ? "−" : "+") : "") + two(whole), two(minutes), last];
  }

  function position(ra, dec) {
    if (ra === null || dec === null) return "no position";
    const [h1, m1, s1] = sexagesimal(ra / 15, 1, false);
    const [d2, m2, s2] = sexagesimal(dec, 0, true);
    return `${h1}ʰ${m1}ᵐ${s1}ˢ ${d2}°${m2}′${s2}″`;
  }

  const bytes = (count) =>
    count < 1e6 ? `${Math.ceil(count / 1e3)} kB` : count < 1e9 ? `${(count / 1e6).toFixed(1)} MB` : `${(count / 1e9).toFixed(1)} GB`;

  // A list of clusters or islands: columns, and what belongs to one row.
  class List {
    constructor(kind, content, run) {
      this.kind = kind;
      this.singular = kind.slice(0, -1);
      this.count = content.count;
      this.columns = content.columns;
      this.classes = content.classes;
      this.flags = run.flags[kind];
      this.mosaics = run.mosaics;
      this.flux = kind === "clusters" ? "flux_mjy" : "total_flux_mjy";
      this.error = kind === "clusters" ? "flux_err_mjy" : "total_flux_err_mjy";
      this.chance = kind === "clusters" ? "p_diffuse" : "p_max";
    }
    at(column, row) { return this.columns[column][row]; }
    className(row) { return this.classes[this.columns.class[row]]; }
    mosaic(row) {
      const number = this.columns.mosaic[row];
      return number === null ? "_" : this.mosaics[number].name;
    }
    stem(row) { return this.columns.stem[row] || this.columns.name[row].replace(/ /g, "_"); }
    link(row) { return `#/${this.singular}/${encodeURIComponent(this.mosaic(row))}/${encodeURIComponent(this.stem(row))}`; }
    file(row, folder, suffix) {
      return `site/${folder}/${encodeURIComponent(this.mosaic(row))}/${encodeURIComponent(this.stem(row))}.${suffix}`;
    }
    flagsOf(row) { return this.flags.filter((_, bit) => this.columns.flags[row] & (1 << bit)); }
    find(mosaic, stem) {
      for (let row = 0; row < this.count; row++) if (this.stem(row) === stem && this.mosaic(row) === mosaic) return row;
      return -1;
    }
  }

  const lists = new Map();
  async function list(kind) {
    if (!lists.has(kind)) {
      const run = await need("run");
      const empty = { count: 0, classes: [], columns: { name: [] } };
      lists.set(kind, run.counts[kind] ? new List(kind, await need(kind), run) : new List(kind, empty, run));
    }
    return lists.get(kind);
  }

  // Colours of Okabe and Ito, and a shape each, so that nobody needs the colour.
  const CLASSES = {
    "cRH": ["#0072b2", "circle", "candidate radio halo"],
    "cRR": ["#d55e00", "diamond", "candidate radio relic"],
    "cRH+cRR": ["#009e73", "square", "candidate halo and relic"],
    "U": ["#b0589a", "ring", "uncertain"],
    "NDE": ["#7d858c", "dot", "no diffuse emission"],
    "N/A": ["#7d858c", "cross", "not measured, see the reason"],
  };
  function kindOf(name) {
    if (CLASSES[name]) return CLASSES[name];
    const halo = /RH/.test(name), relic = /RR/.test(name);
    return CLASSES[halo && relic ? "cRH+cRR" : halo ? "cRH" : relic ? "cRR" : "U"];
  }
  const SHAPES = {
    circle: "M1,8a7,7 0 1,0 14,0a7,7 0 1,0 -14,0z", diamond: "M8,0 16,8 8,16 0,8z", square: "M2,2H14V14H2z",
    ring: "M1,8a7,7 0 1,0 14,0a7,7 0 1,0 -14,0zM4,8a4,4 0 1,1 8,0a4,4 0 1,1 -8,0z", dot: "M5,8a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z",
    cross: "M3,1 8,6 13,1 15,3 10,8 15,13 13,15 8,10 3,15 1,13 6,8 1,3z",
  };
  function badge(name) {
    const [colour, shape, words] = kindOf(name);
    return h("span", { class: "badge", title: words },
      h("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: SHAPES[shape], fill: colour, "fill-rule": "evenodd" })),
      name);
  }

  const FLAGS = {
    flag_galactic: "Galactic", flag_artefact: "artefact", flag_agn: "AGN", flag_edge: "edge", flag_blend: "blend",
    flag_background: "background", flag_coverage: "coverage", flag_shared: "shared", flag_r500: "R500 assumed", flag_upper_limit: "upper limit",
  };
  const flagName = (name) => FLAGS[name] || name.replace(/^flag_/, "").replace(/_/g, " ");

  /** North, east, a scale and the beam of a picture. */
  function marks(view, row) {
    const [nx, ny] = view.size; // shown as wide as the panel, about 300 px, whatever its shape
    const text = nx / 26, wide = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60].filter((one) => one / view.scale < nx / 3).pop() || 0.1;
    // in a low picture the arrows are long enough for their letters, and low enough for these to be inside
    const left = 0.06 * nx, base = 0.94 * ny, arrow = Math.max(0.09 * Math.min(nx, ny), text), from = [0.86 * nx, Math.max(0.16 * ny, 1.4 * arrow + text)];
    const tipOf = (vector) => [from[0] + arrow * vector[0], from[1] + arrow * vector[1]];
    const mark = (vector, letter) => [h("line", { x1: from[0], y1: from[1], x2: tipOf(vector)[0], y2: tipOf(vector)[1], class: "mark" }),
      h("text", { x: from[0] + 1.4 * arrow * vector[0], y: from[1] + 1.4 * arrow * vector[1] + text / 3, "font-size": text, "text-anchor": "middle" }, letter)];
    const size = row.redshift > 0 && row.r500_kpc ? ` = ${Math.round(wide * row.r500_kpc / row.r500_arcmin)} kpc` : "";
    return [mark(view.north, "N"), mark(view.east, "E"),
      h("line", { x1: left, y1: base, x2: left + wide / view.scale, y2: base, class: "mark" }),
      h("text", { x: left, y: base - text * 0.5, "font-size": text }, `${wide}′${size}`),
      h("ellipse", { cx: 0.93 * nx, cy: 0.93 * ny, rx: view.beam[0] / 2, ry: view.beam[1] / 2, transform: `rotate(${view.beam[2]} ${0.93 * nx} ${0.93 * ny})`, class: "beam" })];
  }

  const TITLES = { image: "Image", residual: "Without compact sources", probability: "Probability of diffuse emission" };
  const caption = (kind) => TITLES[kind] + (kind === "probability" ? "" : ", mJy/beam");

  /** The colour bar of a picture. */
  function bar(view, kind) {
    const ticks = kind === "probability" ? [[0, "0"], [0.5, "0.5"], [1, "1"]] : brightness(view.range);
    return h("div", { class: `bar ${kind === "probability" ? "cividis" : "inferno"}` }, h("i"),
      ticks.map(([part, text]) => h("span", { style: `left:${100 * part}%` }, text)));
  }

  // Where values are on an asinh scale of softness 0.1.
  function brightness([low, high]) {
    const part = (value) => Math.asinh((value - low) / (high - low) / 0.1) / Math.asinh(10);
    const nice = (value) => { const power = 10 ** Math.floor(Math.log10(value)); return [1, 2, 5].map((one) => one * power).filter((one) => one <= value).pop(); };
    return [0, nice(0.25 * high), nice(high)].filter((one, i, all) => all.indexOf(one) === i).map((value) => [part(value), String(Number(value.toPrecision(2)))]);
  }

  /** A part of an address as text; as it is where it is none. */
  function decoded(part) {
    try { return decodeURIComponent(part); } catch { return part; }
  }

  return { load, need, decoded, list, h, number, unit, position, bytes, marks, TITLES, caption, bar, badge, kindOf, SHAPES, flagName, raised };
})();
