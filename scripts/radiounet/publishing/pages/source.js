// The page of one cluster or island: pictures with what is drawn over them, all numbers, files.
"use strict";

const Source = (() => {
  const { h, TITLES, caption, bar, marks, number, unit } = Site;
  const GROUPS = [
    ["Limits", /^(flux_(50|90)|relic_flux_(50|90)|bruno|upper_limit|limit_)/],
    ["Exponential fit", /^fit_/],
    ["Halo candidate", /^halo_/],
    ["Relic candidate", /^relic_/],
    ["Flux density", /^(total_)?flux|^peak_snr/],
    ["Detection", /^(p_|mask_fraction|island|parent|owned)/],
    ["Size and shape", /^(area|extent|las|width|axis_ratio|position_angle)/],
    ["Compact sources", /^(compact|blanked)/],
    ["Cluster", /^(redshift|r500|m500)/],
    ["Data", /./],
  ];
  const ORDER = ["Detection", "Flux density", "Size and shape", "Cluster", "Halo candidate", "Relic candidate", "Exponential fit", "Limits", "Compact sources", "Data"];
  const ELSEWHERE = new Set(["name", "class", "reason", "note", "ra_deg", "dec_deg", "other_names", "islands", "mosaic", "limit_note"]);
  const LAYERS = [["islands", "mask"], ["contours", "contours"], ["r500", "R500"], ["fit", "fit"], ["marks", "scale"]];
  const hidden = new Set();

  function over(view, row, kind) {
    const [nx, ny] = view.size;
    const group = (name, ...children) => h("g", { "data-layer": name, display: hidden.has(name) ? "none" : null }, children);
    const at = (ra, dec) => { // tangent plane, good to a pixel over a few degrees
      const r = Math.PI / 180, d0 = row.dec_deg * r, d = dec * r, dl = (ra - row.ra_deg) * r;
      const k = Math.sin(d0) * Math.sin(d) + Math.cos(d0) * Math.cos(d) * Math.cos(dl);
      const east = (Math.cos(d) * Math.sin(dl)) / k / r * 60 / view.scale;
      const north = (Math.cos(d0) * Math.sin(d) - Math.sin(d0) * Math.cos(d) * Math.cos(dl)) / k / r * 60 / view.scale;
      return [view.centre[0] + east * view.east[0] + north * view.north[0], view.centre[1] + east * view.east[1] + north * view.north[1]];
    };
    const parts = [];
    if (kind !== "image") parts.push(group("islands", h("path", { d: view.islands, class: "island" })));
    if (kind === "residual") parts.push(group("contours", h("path", { d: view.contours, class: "contour" })));
    if (row.r500_arcmin) parts.push(group("r500", h("circle", { cx: view.centre[0], cy: view.centre[1], r: row.r500_arcmin / view.scale, class: "r500" })));
    if (row.fit_re_arcmin && kind === "residual") {
      const [x, y] = at(row.fit_ra_deg, row.fit_dec_deg), root = Math.sqrt(row.fit_axis_ratio);
      const angle = row.fit_angle_deg * Math.PI / 180;
      const along = [0, 1].map((i) => Math.cos(angle) * view.north[i] + Math.sin(angle) * view.east[i]);
      parts.push(group("fit", h("ellipse", {
        cx: x, cy: y, rx: row.fit_re_arcmin / root / view.scale, ry: row.fit_re_arcmin * root / view.scale,
        transform: `rotate(${Math.atan2(along[1], along[0]) * 180 / Math.PI} ${x} ${y})`, class: "fit",
      })));
    }
    if (kind === "image") parts.push(group("marks", marks(view, row)));
    return h("svg", { viewBox: `0 0 ${nx} ${ny}`, "aria-hidden": "true" }, parts);
  }

  function pictures(list, row, entry) {
    const { view, row: cells } = entry;
    if (!view) return h("p", { class: "empty" }, cells.note ? `No picture: ${cells.note}` : "No picture: the image or the cut-out was not there when this site was made.");
    const panels = Object.keys(TITLES).map((kind) => h("figure", null, h("figcaption", null, caption(kind)),
      h("div", { class: "panel", style: `aspect-ratio:${view.size[0]}/${view.size[1]}` },
        h("img", { src: list.file(row, "pictures", `${kind}.jpg`), alt: `${TITLES[kind]} of ${list.at("name", row)}`, width: view.size[0], height: view.size[1] }),
        over(view, cells, kind)), bar(view, kind)));
    const box = h("div", { class: "panels" }, panels);
    const layers = LAYERS.filter(([name]) => box.querySelector(`[data-layer=${name}]`));
    return [box, h("div", { class: "layers" }, h("span", null, "Show"), layers.map(([name, text]) =>
      h("label", { class: `layer-${name}` }, h("input", { type: "checkbox", checked: !hidden.has(name), onchange: (event) => {
        hidden[event.target.checked ? "delete" : "add"](name);
        for (const one of box.querySelectorAll(`[data-layer=${name}]`)) one.setAttribute("display", event.target.checked ? "inline" : "none");
      } }), text)), h("span", { class: "soft" }, `Contours: 3, 6, 12 … × rms (${number(view.rms, 3)} mJy/beam). Grey: no data.`))];
  }

  function numbers(list, cells, run) {
    const columns = run.columns[list.kind];
    const errors = Object.fromEntries(Object.keys(columns).filter((one) => one.includes("_err_")).map((one) => [one.replace("_err_", "_"), one]));
    const groups = new Map(ORDER.map((one) => [one, []]));
    for (const [name, [units, description, digits]] of Object.entries(columns)) {
      if (ELSEWHERE.has(name) || name.includes("_err_") || name.startsWith("flag_") || cells[name] === undefined) continue;
      if (name === "fit_flag" && cells[name] < 0) continue;
      const value = typeof cells[name] === "number" ? /_(ra|dec)_deg$/.test(name) ? cells[name].toFixed(5).replace("-", "−") : number(cells[name], digits, cells[errors[name]] ?? null) : String(cells[name]);
      groups.get(GROUPS.find(([, pattern]) => pattern.test(name))[0]).push(h("tr", null,
        h("th", { scope: "row", title: name }, description.replace(/^The same/, `${name.split("_")[0]}: the same`).replace(/, (halo|relic)$/, "")), h("td", null, value), h("td", { class: "unit" }, unit(units))));
    }
    return h("div", { class: "numbers" }, [...groups].filter(([title, rows]) => rows.length && !(rows.length === 1 && title === "Relic candidate")).map(([title, rows]) =>
      h("section", null, h("h2", null, title), h("table", null, h("tbody", null, rows)))));
  }

  function neighbours(list, row) {
    const last = Catalogue.last && Catalogue.last.kind === list.kind && Catalogue.last.rows.includes(row) ? Catalogue.last : null;
    const rows = last ? last.rows : Catalogue.select(list, new URLSearchParams());
    const place = rows.indexOf(row);
    const step = (by, text, label) => { const to = rows[place + by]; return to === undefined ? h("span", { class: "soft" }, text) : h("a", { href: list.link(to), rel: by < 0 ? "prev" : "next", "aria-label": label }, text); };
    return h("div", { class: "neighbours" }, h("a", { href: `#/${list.kind}${last && last.query ? `?${last.query}` : ""}` }, `All ${list.kind}`),
      step(-1, "‹ previous", "Previous"), h("span", { class: "soft" }, `${place + 1} of ${rows.length.toLocaleString("en")}`), step(1, "next ›", "Next"));
  }

  async function show(main, kind, mosaic, stem) {
    const [run, list] = [await Site.need("run"), await Site.list(kind)];
    const row = list.find(mosaic, stem);
    if (row < 0) throw new Error(`no ${list.singular} of this name on ${mosaic}`);
    const content = await Site.need(`mosaics/${mosaic}`);
    const entry = content[kind][stem], cells = entry.row;
    document.title = `${cells.name} – ${run.title}`;
    const flags = list.flags.filter((one) => cells[one]);
    const islands = (cells.islands || "").split("; ").filter(Boolean);
    const island = islands.length ? await Site.list("islands") : null;
    const hosts = entry.clusters || [];
    const linkTo = (name) => { const found = island.columns.name.indexOf(name); return found < 0 ? name : h("a", { href: island.link(found) }, name); };
    const around = encodeURIComponent(`${cells.ra_deg} ${cells.dec_deg}`);
    const out = (href, text) => h("a", { href, rel: "noreferrer noopener", target: "_blank" }, text);
    main.replaceChildren(
      neighbours(list, row),
      h("div", { class: "title" }, h("h1", null, cells.name), Site.badge(list.className(row)),
        h("span", { class: "chance" }, `p ${number(list.at(list.chance, row), 2)}`)),
      h("p", { class: "where" }, h("span", null, Site.position(cells.ra_deg ?? null, cells.dec_deg ?? null)),
        cells.ra_deg === undefined ? null : h("span", { class: "soft" }, ` ${cells.ra_deg.toFixed(5)}°, ${cells.dec_deg.toFixed(5).replace("-", "−")}° (ICRS)`),
        cells.redshift === undefined ? null : h("span", null, ` z ${number(cells.redshift, 4)}`),
        mosaic === "_" ? null : h("span", { class: "soft" }, ` mosaic ${mosaic}`),
        cells.other_names ? h("span", { class: "soft" }, ` also ${cells.other_names}`) : null),
      h("p", { class: "reason" }, cells.reason || cells.note || "", cells.reason && cells.note ? ` (${cells.note})` : ""),
      flags.length ? h("ul", { class: "flags" }, flags.map((one) => h("li", { title: one }, h("b", null, Site.flagName(one)), ` ${run.columns[kind][one][1]}`))) : "",
      h("div", { class: "pictures" }, pictures(list, row, entry)),
      h("p", { class: "files" },
        entry.view ? [h("a", { href: list.file(row, "cutouts", "fits"), download: true }, "FITS cut-outs"), h("a", { href: list.file(row, "cutouts", "reg"), download: true }, "DS9 regions")] : null,
        cells.ra_deg === undefined ? null : h("span", { class: "look" }, "Look up: ",
          out(`https://simbad.cds.unistra.fr/simbad/sim-coo?Coord=${around}&Radius=5&Radius.unit=arcmin`, "SIMBAD"), " ",
          out(`https://ned.ipac.caltech.edu/conesearch?search_type=Near+Position+Search&ra=${cells.ra_deg}d&dec=${cells.dec_deg}d&radius=5`, "NED"), " ",
          out(`https://www.legacysurvey.org/viewer?ra=${cells.ra_deg}&dec=${cells.dec_deg}&zoom=12`, "Legacy Surveys"))),
      islands.length ? h("p", null, "Islands of this cluster: ", islands.map((one, i) => [i ? "; " : "", linkTo(one)])) : "",
      hosts.length ? h("p", null, "Belongs to: ", hosts.map((one, i) => [i ? "; " : "", h("a", { href: `#/cluster/${encodeURIComponent(one.mosaic)}/${encodeURIComponent(one.stem)}` }, one.name)])) : "",
      cells.limit_note ? h("p", { class: "soft" }, `Limits: ${cells.limit_note}`) : "",
      numbers(list, cells, run));
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, canvas, .scroll") || event.altKey || event.ctrlKey || event.metaKey) return;
    const link = { ArrowLeft: "a[rel=prev]", ArrowRight: "a[rel=next]" }[event.key];
    const found = link && document.querySelector(`.neighbours ${link}`);
    if (found) location.hash = found.getAttribute("href");
  });

  return { show };
})();
