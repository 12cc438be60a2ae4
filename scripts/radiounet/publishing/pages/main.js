// Pages of the run as a whole, and which page an address means.
"use strict";

(() => {
  const { h, number } = Site;
  const PAGES = [["", "Overview"], ["clusters", "Clusters"], ["islands", "Islands"], ["rejected", "Rejected"], ["run", "Run and data"]];

  async function overview(main) {
    const run = await Site.need("run"), clusters = await Site.list("clusters");
    const classes = (list) => [...Catalogue.counts(list)].sort((a, b) => b[1] - a[1]).map(([name, count]) =>
      h("a", { href: `#/${list.kind}?class=${encodeURIComponent(name)}` }, Site.badge(name), ` ${Site.kindOf(name)[2]}, ${count.toLocaleString("en")}`));
    const done = run.mosaics.filter((one) => one.state === "done").length, bad = run.mosaics.filter((one) => one.state === "rejected").length;
    const figure = (value, text, href) => h("a", { class: "figure", href }, h("b", null, value.toLocaleString("en")), h("span", null, text));
    const sky = h("div");
    const rows = Catalogue.select(clusters, new URLSearchParams()).filter((row) => clusters.at("p_diffuse", row) !== null).slice(0, 8);
    const key = h("span", { class: "legend", hidden: true });
    const islands = h("button", { type: "button", class: "plain", onclick: async () => {
      const list = await Site.list("islands");
      map.islands = map.islands ? null : list;
      key.replaceChildren("Islands, smaller:", ...classes(list));
      key.hidden = !map.islands;
      islands.textContent = map.islands ? "Hide islands" : "Show islands";
      map.draw();
    } }, "Show islands");
    main.replaceChildren(
      h("h1", null, `Diffuse emission in ${run.title}`),
      h("div", { class: "figures" }, figure(done, done === 1 ? "mosaic" : "mosaics", "#/run"), figure(run.counts.clusters, run.counts.clusters === 1 ? "cluster" : "clusters", "#/clusters"),
        figure(run.counts.islands, run.counts.islands === 1 ? "island" : "islands", "#/islands"), figure(run.rejected.length, "rejected", "#/rejected")),
      h("section", null, h("h2", null, "Sky"), sky,
        h("p", { class: "legend" }, classes(clusters),
          h("span", { class: "swatch done" }, "mosaic"), bad ? h("span", { class: "swatch rejected" }, "rejected") : null,
          run.counts.islands ? [islands, key] : null)),
      rows.length ? h("section", null, h("h2", null, "Most probable clusters"), h("div", { class: "cards" }, rows.map((row) => Catalogue.card(clusters, row)))) : "");
    const map = new SkyMap.Map(sky, run, clusters);
  }

  async function rejected(main) {
    const run = await Site.need("run");
    main.replaceChildren(h("h1", null, "Rejected"),
      h("p", null, run.rejected.length ? "Data that could not be used. The survey goes on without it." : "No pointing and no mosaic was rejected."),
      run.rejected.length ? h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Rejected" }, h("table", { class: "dense text" },
        h("thead", null, h("tr", null, ["Name", "Stage", "File", "Reason"].map((one) => h("th", { scope: "col" }, one)))),
        h("tbody", null, run.rejected.map(([name, ...rest]) => h("tr", null, h("th", { scope: "row" }, name), rest.map((one) => h("td", null, one))))))) : "");
  }

  async function aboutRun(main) {
    const run = await Site.need("run"), { status } = run;
    main.replaceChildren(h("h1", null, "Run and data"),
      h("section", null, h("h2", null, "How the masks were made"), h("table", { class: "pairs" }, h("tbody", null, run.made.map(([label, value]) => h("tr", null, h("th", { scope: "row" }, label), h("td", null, value)))))),
      status ? h("section", null, h("h2", null, "Latest run"), h("p", null, `State: ${status.state}. Mosaics: `, Object.entries(status.mosaics).map(([name, count]) => `${count} ${name}`).join(", "), "."),
        status.failed.length ? h("table", { class: "dense text" }, h("tbody", null, status.failed.map((one) => h("tr", null, h("th", { scope: "row" }, `${one.rule} ${one.name}`), h("td", null, one.last_words))))) : "") : "",
      run.downloads.length ? h("section", null, h("h2", null, "Files of this publication"), h("table", { class: "pairs" }, h("tbody", null, run.downloads.map(([name, count, size]) =>
        h("tr", null, h("th", { scope: "row" }, h("a", { href: name.split("/").map(encodeURIComponent).join("/") }, name)), h("td", null, `${count.toLocaleString("en")} ${count === 1 ? "file" : "files"}, ${Site.bytes(size)}`))))),
        run.notes.map((one) => h("p", null, one))) : "",
      h("section", null, h("h2", null, "Columns"), ["clusters", "islands"].filter((kind) => run.counts[kind]).map((kind) => h("details", null, h("summary", null, `Columns of the ${kind}`),
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Columns of the ${kind}` }, h("table", { class: "dense text" }, h("tbody", null, Object.entries(run.columns[kind]).map(([name, [units, description]]) =>
          h("tr", null, h("th", { scope: "row" }, h("code", null, name)), h("td", null, Site.unit(units)), h("td", null, description))))))))));
  }

  async function viewer(main, kind) {
    const run = await Site.need("run");
    const hips = run.hips.find((one) => one.kind === kind) || run.hips[0];
    const box = h("div", { class: "aladin", id: "aladin" });
    main.replaceChildren(h("h1", null, "Sky viewer"), h("p", { class: "switch" }, run.hips.map((one) => h("a", { href: `#/viewer/${one.kind}`, "aria-current": one === hips ? "page" : null }, one.kind))), box);
    if (location.protocol === "file:") {
      box.replaceWith(h("p", { class: "empty" }, "A browser does not give the viewer tiles from files. Run “python -m http.server” in this folder, and open http://localhost:8000."));
      return;
    }
    // its package is a module, the copy for web pages sets window.A
    const A = (await import(new URL("site/aladin.js", document.baseURI).href)).default || window.A;
    await A.init;
    const clusters = await Site.list("clusters");
    const first = Catalogue.select(clusters, new URLSearchParams())[0];
    const format = (hips.hips_tile_format || "png").split(" ").includes("png") ? "png" : hips.hips_tile_format.split(" ")[0];
    const url = new URL(`hips/${hips.kind}`, location.href.split("#")[0]).href;
    const survey = A.HiPS(url, { name: hips.obs_title || hips.kind, imgFormat: format });
    const aladin = A.aladin("#aladin", {
      survey, hipsList: [], cooFrame: "ICRSd", fov: 3, target: first === undefined ? "0 0" : `${clusters.at("ra_deg", first)} ${clusters.at("dec_deg", first)}`,
      log: false, showReticle: false, showProjectionControl: false, showShareControl: false, showSimbadPointerControl: false, showContextMenu: false, showLayersControl: false,
    });
    const layer = A.catalog({ name: "clusters", sourceSize: 14, color: "#8aff80", shape: "circle" });
    aladin.addCatalog(layer);
    for (let row = 0; row < clusters.count; row++) if (clusters.at("ra_deg", row) !== null) layer.addSources([A.source(clusters.at("ra_deg", row), clusters.at("dec_deg", row), { link: clusters.link(row) })]);
    aladin.on("objectClicked", (one) => { if (one && one.data) location.hash = one.data.link; });
  }

  async function route() {
    const main = document.getElementById("main");
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    const [page, ...rest] = path.split("/").map(Site.decoded);
    const run = await Site.need("run");
    document.getElementById("title").textContent = run.title;
    document.title = run.title;
    const pages = run.aladin && run.hips.length ? [...PAGES, ["viewer", "Viewer"]] : PAGES;
    const here = { cluster: "clusters", island: "islands" }[page] || page;
    document.getElementById("nav").replaceChildren(...pages.map(([name, text]) => h("a", { href: `#/${name}`, "aria-current": name === here ? "page" : null }, text)),
      run.status && run.status.page ? h("a", { href: run.status.page }, "Live run") : "");
    try {
      if (page === "clusters" || page === "islands") await Catalogue.show(main, page, query || "");
      else if (page === "cluster" || page === "island") await Source.show(main, `${page}s`, ...rest);
      else if (page === "rejected") await rejected(main);
      else if (page === "run") await aboutRun(main);
      else if (page === "viewer") await viewer(main, rest[0]);
      else await overview(main);
    } catch (error) {
      main.replaceChildren(h("h1", null, "This page cannot be shown"), h("p", null, error.message));
    }
    document.body.dataset.page = page || "overview";
  }

  // the address is that of a page of the site: a link to #main would leave it
  document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); document.getElementById("main").focus(); });
  window.addEventListener("hashchange", () => { route(); window.scrollTo(0, 0); });
  route();
})();
