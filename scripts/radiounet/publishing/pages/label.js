// Candidates one after another: a key for each label, undo, skip.
"use strict";

(() => {
  const { h, TITLES, caption, bar, marks, number } = Site;
  const KEYS = { "halo": "h", "relic": "r", "halo and relic": "b", "no emission": "n", "radio galaxy": "g", "artefact": "a", "Galactic": "w", "unsure": "u" };
  const main = document.getElementById("main");
  let state = null, busy = false;

  async function ask(address, options) {
    busy = true;
    try {
      const answer = await fetch(address, options);
      if (!answer.ok) throw new Error(answer.status === 500 ? await answer.text() : `the program refused (${answer.status})`);
      state = await answer.json();
      show();
    } catch (error) {
      main.prepend(h("p", { role: "alert" }, `Not saved: ${error.message}. Is radiounet label still running?`));
    } finally {
      busy = false;
    }
  }

  const act = (action, label) => !busy && ask("act", {
    method: "POST", headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ action, label, name: state.candidate ? state.candidate.row.name : "" }),
  });

  function panel(kind, { pictures, view, row }) {
    const [nx, ny] = view.size;
    const over = h("svg", { viewBox: `0 0 ${nx} ${ny}` }, kind === "image" ? null : h("path", { d: view.islands, class: "island" }),
      kind === "residual" ? h("path", { d: view.contours, class: "contour" }) : null,
      row.r500_arcmin ? h("circle", { cx: view.centre[0], cy: view.centre[1], r: row.r500_arcmin / view.scale, class: "r500" }) : null,
      kind === "image" ? marks(view, row) : null);
    return h("figure", null, h("figcaption", null, caption(kind)),
      h("div", { class: "panel", style: `aspect-ratio:${nx}/${ny}` }, h("img", { src: pictures[kind], alt: TITLES[kind] }), over), bar(view, kind));
  }

  function show() {
    const { candidate, done, total, labels, note } = state;
    const buttons = [...labels.map((label) => [KEYS[label], label, () => act("label", label)]), ["s", "skip", () => act("skip")], ["z", "undo", () => act("undo")]];
    const row = candidate ? candidate.row : null, flux = row ? row.total_flux_mjy ?? row.flux_mjy : undefined;
    main.replaceChildren(
      h("p", { class: "soft" }, `${done} of ${total} labelled`),
      note ? h("p", { role: "status" }, note) : "",
      h("h1", null, row ? row.name : "All candidates have a label"),
      row ? h("p", { class: "where" }, h("span", null, `p ${number(row.p_diffuse ?? row.p_max, 2)}`), row.redshift ? h("span", null, `z ${number(row.redshift, 3)}`) : null,
        flux === undefined ? null : h("span", null, `S ${number(flux, 1, row.total_flux_err_mjy ?? row.flux_err_mjy)} mJy`), row.ra_deg === undefined ? null : h("span", { class: "soft" }, `${row.ra_deg.toFixed(4)}°, ${row.dec_deg.toFixed(4).replace("-", "−")}° (ICRS)`)) : "",
      h("p", { class: "options" }, buttons.filter(([key]) => row || key === "z").map(([key, label, go]) => h("button", { type: "button", "data-label": label, onclick: go }, h("b", null, key), ` ${label}`))),
      row ? (candidate.view ? h("div", { class: "panels" }, Object.keys(TITLES).map((kind) => panel(kind, candidate))) : h("p", { class: "empty" }, `No picture: ${candidate.missing}`)) : "");
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !state) return;
    const key = event.key.toLowerCase();
    const label = Object.keys(KEYS).find((one) => KEYS[one] === key);
    if (label && state.candidate) act("label", label);
    else if (key === "s" && state.candidate) act("skip");
    else if (key === "z" || key === "backspace") act("undo");
    else return;
    event.preventDefault();
  });

  ask("state");
})();
