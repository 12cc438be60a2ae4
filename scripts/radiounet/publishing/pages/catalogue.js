// Lists of clusters and islands: filters, order, pages, as pictures or as a table. The address holds all of it.
"use strict";

const Catalogue = (() => {
  const { h, number, unit } = Site;
  const CARDS = 24, ROWS = 100;

  const COLUMNS = {
    clusters: [
      ["name", "Name"], ["class", "Class"], ["p_diffuse", "p", 2], ["redshift", "z", 3], ["r500_arcmin", "R500", 1],
      ["flux_mjy", "S in mask", 1, "flux_err_mjy"], ["flux_r500_mjy", "S in R500", 1, "flux_r500_err_mjy"],
      ["halo_flux_mjy", "S halo", 1, "halo_flux_err_mjy"], ["relic_flux_mjy", "S relic", 1, "relic_flux_err_mjy"],
      ["upper_limit_mjy", "Upper limit", 1], ["coverage", "Coverage", 2], ["flags", "Flags"],
    ],
    islands: [
      ["name", "Name"], ["class", "Class"], ["p_max", "p max", 2], ["p_mean", "p mean", 2],
      ["total_flux_mjy", "S total", 1, "total_flux_err_mjy"], ["las_arcmin", "LAS", 1], ["area_arcmin2", "Area", 1],
      ["peak_snr", "Peak S/N", 1], ["mosaic", "Mosaic"], ["flags", "Flags"],
    ],
  };
  const RANGES = {
    clusters: [["flux_mjy", "Flux density"], ["redshift", "Redshift"], ["p_diffuse", "Probability"]],
    islands: [["total_flux_mjy", "Flux density"], ["las_arcmin", "Largest size"], ["p_max", "Probability"]],
  };
  const plain = (text) => text.normalize("NFKC").toLowerCase().replace(/\s+/g, "");

  // Rows that pass the filters of an address, in its order.
  function select(list, query) {
    const { columns } = list;
    const classes = query.has("class") ? new Set(query.get("class").split("|")) : null;
    const wanted = list.classes.map((_, index) => !classes || classes.has(list.classes[index]));
    const text = plain(query.get("name") || "");
    const bit = list.flags.indexOf(query.get("flag"));
    const unflagged = query.get("flag") === "none";
    const ranges = RANGES[list.kind].flatMap(([name]) => {
      const [low, high] = [query.get(`${name}.min`), query.get(`${name}.max`)].map((one) => (one === null || one === "" ? null : Number(one)));
      return low === null && high === null ? [] : [[columns[name], low ?? -Infinity, high ?? Infinity]];
    });
    const found = [];
    for (let row = 0; row < list.count; row++) {
      if (!wanted[columns.class[row]]) continue;
      if (unflagged ? columns.flags[row] : bit >= 0 && !(columns.flags[row] & (1 << bit))) continue;
      if (text && !plain(columns.name[row]).includes(text)) continue;
      if (!ranges.every(([values, low, high]) => values[row] !== null && values[row] >= low && values[row] <= high)) continue;
      found.push(row);
    }
    const sort = query.get("sort") || `-${list.chance}`;
    const down = sort.startsWith("-"), name = sort.replace(/^-/, "");
    const value = {
      name: (row) => columns.name[row], class: (row) => list.className(row), mosaic: (row) => list.mosaic(row),
    }[name] || (columns[name] ? (row) => columns[name][row] : () => 0);
    const keyed = found.map((row) => [value(row), row]);
    const collator = new Intl.Collator("en", { numeric: true });
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j; // what was not measured is last
      const order = typeof a === "string" ? collator.compare(a, b) : a - b;
      return (down ? -order : order) || i - j;
    });
    return keyed.map(([, row]) => row);
  }

  /** How many rows each class has. */
  function counts(list) {
    const found = new Map();
    for (let row = 0; row < list.count; row++) found.set(list.className(row), (found.get(list.className(row)) || 0) + 1);
    return found;
  }

  function card(list, row) {
    const at = (name) => list.at(name, row);
    const picture = h("div", { class: "thumb" }, h("img", {
      src: list.file(row, "pictures", "residual.jpg"), alt: "", loading: "lazy", decoding: "async",
      onerror: (event) => event.target.replaceWith(h("span", null, "no picture")),
    }));
    const flux = at(list.flux);
    const [name, value] = list.kind === "clusters" ? ["z", at("redshift")] : ["LAS", at("las_arcmin")];
    const size = value === null ? `${name} unknown` : name === "z" ? `z ${number(value, 3)}` : `LAS ${number(value, 1)}′`;
    return h("a", { class: "card", href: list.link(row) }, picture,
      h("div", { class: "name" }, at("name")),
      h("div", { class: "facts" }, Site.badge(list.className(row)), h("span", { class: "soft" }, size), h("span", null, `p ${number(at(list.chance), 2)}`)),
      h("div", { class: "facts soft" }, flux === null ? "no flux density" : `${number(flux, 1, at(list.error))} mJy ${list.kind === "clusters" ? "in mask" : "in total"}`));
  }

  function cell(list, row, [name, , digits, error]) {
    if (name === "name") return h("th", { scope: "row" }, h("a", { href: list.link(row) }, list.at("name", row)));
    if (name === "class") return h("td", { class: "word" }, Site.badge(list.className(row)));
    if (name === "mosaic") return h("td", { class: "word" }, list.mosaic(row));
    if (name === "flags") return h("td", { class: "word soft" }, list.flagsOf(row).map(Site.flagName).join(", "));
    return h("td", null, number(list.at(name, row), digits, error ? list.at(error, row) : null));
  }

  function table(list, rows, query, set, run) {
    const sort = query.get("sort") || `-${list.chance}`;
    const heads = COLUMNS[list.kind].map(([name, label]) => {
      const [units, description] = run.columns[list.kind][name] || ["", ""];
      const state = sort === name ? "ascending" : sort === `-${name}` ? "descending" : null;
      const words = name === "name" || name === "class" || name === "flags" || name === "mosaic";
      const next = state === "descending" || (!state && words) ? name : `-${name}`;
      return h("th", { scope: "col", "aria-sort": state, class: words ? "word" : null, title: description || null },
        h("button", { type: "button", onclick: () => set({ sort: next }) }, label, state === "ascending" ? " ▲" : state ? " ▼" : ""),
        h("small", null, unit(units) || " "));
    });
    return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" },
      h("table", { class: "dense" }, h("thead", null, h("tr", null, heads)),
        h("tbody", null, rows.map((row) => h("tr", null, COLUMNS[list.kind].map((column) => cell(list, row, column)))))));
  }

  function filters(list, query, set, run) {
    const numbers = counts(list);
    const order = ["cRH", "cRH+cRR", "cRR", "U", "NDE", "N/A"];
    const names = [...numbers.keys()].sort((a, b) => (order.indexOf(a) + 99) % 99 - (order.indexOf(b) + 99) % 99 || (a < b ? -1 : 1));
    const chosen = query.has("class") ? new Set(query.get("class").split("|")) : new Set(names);
    const toggle = (name, on) => {
      const next = new Set(chosen);
      if (on) next.add(name); else next.delete(name);
      set({ class: names.every((one) => next.has(one)) ? null : [...next].join("|") });
    };
    const field = (key, placeholder, label) => h("input", {
      type: "number", step: "any", inputmode: "decimal", placeholder, "aria-label": label, "data-key": key, value: query.get(key),
      oninput: (event) => set({ [key]: event.target.value || null }, true),
    });
    return h("form", { class: "filters", onsubmit: (event) => event.preventDefault() },
      h("fieldset", { class: "classes" }, h("legend", null, "Class"), names.map((name) =>
        h("label", null, h("input", { type: "checkbox", checked: chosen.has(name), "data-class": name, onchange: (event) => toggle(name, event.target.checked) }),
          Site.badge(name), h("small", null, numbers.get(name).toLocaleString("en"))))),
      h("fieldset", null, h("legend", null, "Name"), h("input", {
        type: "search", "aria-label": "Name", "data-key": "name", placeholder: "any", value: query.get("name"), oninput: (event) => set({ name: event.target.value || null }, true),
      })),
      RANGES[list.kind].map(([name, label]) => {
        const units = unit((run.columns[list.kind][name] || [""])[0]);
        return h("fieldset", { class: "range" }, h("legend", null, label, units ? ` (${units})` : ""),
          field(`${name}.min`, "from", `${label} from`), h("span", { "aria-hidden": "true" }, "–"), field(`${name}.max`, "to", `${label} to`));
      }),
      h("fieldset", null, h("legend", null, "Flags"), h("select", { "aria-label": "Flags", "data-key": "flag", onchange: (event) => set({ flag: event.target.value || null }) },
        [["", "any"], ["none", "none set"], ...list.flags.map((one) => [one, Site.flagName(one)])].map(([value, text]) =>
          h("option", { value, selected: (query.get("flag") || "") === value }, text)))));
  }

  function options(list, query, set) {
    const view = query.get("view") || "pictures";
    const sort = query.get("sort") || `-${list.chance}`;
    const choices = COLUMNS[list.kind].filter(([name]) => name !== "flags").flatMap(([name, label]) =>
      name === "name" || name === "class" || name === "mosaic" ? [[name, label]] : [[`-${name}`, `${label}, largest first`], [name, `${label}, smallest first`]]);
    return h("div", { class: "options" },
      h("label", null, "Order ", h("select", { "data-key": "sort", onchange: (event) => set({ sort: event.target.value }) },
        choices.map(([value, text]) => h("option", { value, selected: value === sort }, text)))),
      h("div", { class: "switch", role: "group", "aria-label": "View" }, ["pictures", "table"].map((one) =>
        h("button", { type: "button", "aria-pressed": String(one === view), onclick: () => set({ view: one }) }, one === "table" ? "Table" : "Pictures"))));
  }

  function pager(count, size, page, set) {
    const pages = Math.max(1, Math.ceil(count / size));
    if (pages === 1) return null;
    const go = (to, text, label) => h("button", { type: "button", "aria-label": label, disabled: to < 0 || to >= pages || to === page, onclick: () => set({ page: to ? String(to + 1) : null }, false, true) }, text);
    return h("div", { class: "pager" }, go(0, "«", "First page"), go(page - 1, "‹ Previous", "Previous page"),
      h("span", null, `page ${(page + 1).toLocaleString("en")} of ${pages.toLocaleString("en")}`),
      go(page + 1, "Next ›", "Next page"), go(pages - 1, "»", "Last page"));
  }

  /** What tells a button or a choice of a list from the others. */
  function nameOf(element) {
    return ["BUTTON", "SELECT"].includes(element?.tagName) ? element.dataset.key || element.getAttribute("aria-label") || element.textContent.replace(/[^a-z ]/gi, "").trim() : null;
  }

  async function show(main, kind, query) {
    const [run, list] = [await Site.need("run"), await Site.list(kind)];
    let current = new URLSearchParams(query);
    const parts = { head: h("div", { class: "headline" }), filters: h("div"), result: h("div", { class: "result" }) };
    main.replaceChildren(h("h1", null, kind === "clusters" ? "Clusters" : "Islands"), parts.filters, parts.head, parts.result);
    let timer = 0;
    const set = (changes, typing = false, turned = false) => {
      current = new URLSearchParams(current);
      for (const [key, value] of Object.entries(changes)) if (value === null) current.delete(key); else current.set(key, value);
      if (!turned) current.delete("page");
      history.replaceState(null, "", `#/${kind}${current.size ? `?${current}` : ""}`);
      clearTimeout(timer);
      if (typing) timer = setTimeout(update, 60);
      else update();
      if (turned) window.scrollTo(0, 0);
    };
    function update() {
      const focused = nameOf(document.activeElement);
      const rows = select(list, current);
      const view = current.get("view") || "pictures", size = view === "table" ? ROWS : CARDS;
      const page = Math.min(Math.max(0, Number(current.get("page") || 1) - 1 || 0), Math.max(0, Math.ceil(rows.length / size) - 1));
      const shown = rows.slice(page * size, (page + 1) * size);
      Catalogue.last = { kind, rows, query: current.toString() };
      parts.head.replaceChildren(
        h("p", { role: "status" }, h("b", null, rows.length.toLocaleString("en")), ` of ${list.count.toLocaleString("en")} ${kind}`,
          [...current.keys()].some((key) => key !== "view") ? [" ", h("button", { type: "button", class: "plain", onclick: () => { set(Object.fromEntries([...current.keys()].filter((key) => key !== "view").map((key) => [key, null]))); parts.filters.replaceChildren(filters(list, current, set, run)); } }, "reset")] : null),
        options(list, current, set));
      parts.result.replaceChildren(
        ...(rows.length ? [view === "table" ? table(list, shown, current, set, run) : h("div", { class: "cards" }, shown.map((row) => card(list, row)))] : [h("p", { class: "empty" }, `No ${kind} pass these filters.`)]),
        ...[pager(rows.length, size, page, set)].filter(Boolean));
      // what was pressed has been made anew
      if (focused && document.activeElement === document.body) [...main.querySelectorAll("button, select")].find((one) => nameOf(one) === focused)?.focus();
    }
    parts.filters.append(filters(list, current, set, run));
    update();
  }

  return { show, select, counts, card, last: null };
})();
