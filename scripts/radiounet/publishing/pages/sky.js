// The sky map: mosaics and clusters on a canvas, from the whole sky (Hammer) to a few arcmin (Lambert, equal-area).
"use strict";

const SkyMap = (() => {
  const { h } = Site;
  const RAD = Math.PI / 180;
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  class Map_ {
    constructor(element, run, clusters) {
      this.run = run;
      this.clusters = clusters;
      this.islands = null;
      this.canvas = h("canvas", {
        tabindex: 0, role: "img",
        "aria-label": `Sky map of ${run.mosaics.length} mosaics and ${clusters.count} clusters. Arrow keys move it, plus and minus zoom. The lists hold the same objects.`,
      });
      this.tip = h("div", { class: "tip", hidden: true });
      const button = (text, label, act) => h("button", { type: "button", title: label, "aria-label": label, onclick: act }, text);
      this.box = h("div", { class: "sky" }, this.canvas, this.tip,
        h("div", { class: "tools" },
          button("+", "Zoom in", () => this.zoom(1.6)),
          button("−", "Zoom out", () => this.zoom(1 / 1.6)),
          button("Run", "Show the mosaics of the run", () => this.fit()),
          button("Sky", "Show the whole sky", () => this.whole())));
      element.append(this.box);
      this.listen();
      this.fit();
      new ResizeObserver(() => this.draw()).observe(this.box);
    }

    // Where a line of the grid crosses the bottom edge (index 1, at `at`) or the left one (index 0).
    crossing(places, index, at) {
      let last = null;
      for (const [ra, dec] of places) {
        const p = this.project(ra, dec);
        if (p && last && (last[index] - at) * (p[index] - at) <= 0 && !this.seam(last, p) && Math.hypot(p[0] - last[0], p[1] - last[1]) < this.width / 2) {
          const part = p[index] === last[index] ? 0 : (at - last[index]) / (p[index] - last[index]);
          return last[1 - index] + part * (p[1 - index] - last[1 - index]);
        }
        last = p;
      }
      return null;
    }

    // Whole sky: Hammer (b = 2), which becomes Lambert's projection (b = 1) when one looks closer.
    get b() { return Math.min(2, Math.max(1, this.fov / 120)); }
    get tilt() { return this.dec * (2 - this.b); }

    // Whether the edge of the map lies between two places; Lambert's projection has none.
    seam(p, q) { return this.b > 1 && Math.abs(p[2] - q[2]) > Math.PI; }

    // Place on the canvas, and longitude in the turned frame, whose 180 deg are the edge of the map.
    project(ra, dec) {
      let lon = (ra - this.ra) * RAD;
      lon = Math.atan2(Math.sin(lon), Math.cos(lon));
      const t = this.tilt * RAD, d = dec * RAD;
      const x = Math.cos(d) * Math.cos(lon), y = Math.cos(d) * Math.sin(lon), z = Math.sin(d);
      const up = z * Math.cos(t) - x * Math.sin(t), forward = x * Math.cos(t) + z * Math.sin(t);
      const turned = Math.atan2(y, forward), l = turned / this.b, c = Math.sqrt(Math.max(0, 1 - up * up));
      const k = 1 + c * Math.cos(l);
      if (k < 1e-4) return null;
      const f = Math.sqrt(2 / k) * this.scale;
      return [this.width / 2 - this.b * c * Math.sin(l) * f, this.height / 2 - up * f, turned];
    }

    fit() {
      const places = this.run.mosaics.flatMap((one) => Array.from({ length: one.outline.length / 2 }, (_, i) => one.outline.slice(2 * i, 2 * i + 2)));
      const { ra_deg, dec_deg } = this.clusters.columns;
      if (!places.length && this.clusters.count)
        for (let i = 0; i < this.clusters.count; i++) if (ra_deg[i] !== null) places.push([ra_deg[i], dec_deg[i]]);
      if (!places.length) return this.whole();
      let x = 0, y = 0, z = 0;
      const vectors = places.map(([ra, dec]) => [Math.cos(dec * RAD) * Math.cos(ra * RAD), Math.cos(dec * RAD) * Math.sin(ra * RAD), Math.sin(dec * RAD)]);
      for (const v of vectors) { x += v[0]; y += v[1]; z += v[2]; }
      const length = Math.hypot(x, y, z) || 1;
      const far = Math.max(...vectors.map((v) => Math.acos(Math.max(-1, Math.min(1, (v[0] * x + v[1] * y + v[2] * z) / length))))) / RAD;
      if (far > 45) return this.whole();
      this.ra = Math.atan2(y, x) / RAD;
      this.dec = Math.asin(z / length) / RAD;
      this.fov = Math.max(2 * far + 6, 6) * 1.25;
      return this.draw();
    }

    whole() {
      Object.assign(this, { ra: 180, dec: 0, fov: 360 });
      this.draw();
    }

    zoom(factor) {
      this.fov = Math.min(360, Math.max(0.2, this.fov / factor));
      this.draw();
    }

    draw() {
      this.width = this.box.clientWidth;
      this.height = this.canvas.clientHeight;
      if (!this.width || !this.height) return;
      const ratio = Math.max(window.devicePixelRatio || 1, 2);
      this.canvas.width = this.width * ratio;
      this.canvas.height = this.height * ratio;
      const c = this.context = this.canvas.getContext("2d");
      c.scale(ratio, ratio);
      // the whole sky is 4 sqrt(2) wide and 2 sqrt(2) high
      const sky = 0.96 * Math.min(this.width / (4 * Math.SQRT2), this.height / (2 * Math.SQRT2));
      const near = Math.min(this.width, this.height * 1.6) / (2 * this.b * Math.sin(Math.min(this.fov, 360) / this.b / 4 * RAD) * 2);
      this.scale = this.fov >= 359 ? sky : Math.max(near, sky);
      this.grid();
      this.squares();
      this.hits = [];
      if (this.islands) this.points(this.islands, true);
      this.points(this.clusters, false);
    }

    line(places, close) {
      const c = this.context;
      let last = null;
      c.beginPath();
      for (const [ra, dec] of places) {
        const p = this.project(ra, dec);
        const jump = !p || !last || (!close && this.seam(last, p)) || Math.hypot(p[0] - last[0], p[1] - last[1]) > Math.max(this.width, this.scale) / 2;
        if (p) c[jump ? "moveTo" : "lineTo"](p[0], p[1]);
        if (jump && last && close) return false;
        last = p;
      }
      if (close) c.closePath();
      return true;
    }

    grid() {
      const c = this.context;
      c.strokeStyle = css("--line");
      c.fillStyle = css("--soft");
      c.lineWidth = 1;
      c.font = "11px system-ui, sans-serif";
      const step = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1].find((one) => this.fov / one >= 3.5) || 0.1;
      const fine = Math.min(step / 10, 3);
      const steps = (from, to, by) => Array.from({ length: Math.round((to - from) / by) + 1 }, (_, i) => from + i * by);
      const between = (from, to, by) => { // even steps, which end where they should
        const count = Math.ceil((to - from) / by);
        return Array.from({ length: count + 1 }, (_, i) => from + ((to - from) * i) / count);
      };
      const all = this.fov > 100;
      const decs = all ? [-60, -30, 0, 30, 60] : steps(Math.ceil((this.dec - this.fov) / step) * step, this.dec + this.fov, step).filter((d) => Math.abs(d) < 89.99);
      // all right ascensions where a pole may be seen
      const widen = Math.abs(this.dec) + this.fov > 89 ? 180 : Math.min(180, this.fov / Math.cos(this.dec * RAD));
      const raStep = all ? 30 : [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30].find((one) => one >= 0.99 * step / Math.max(1e-3, Math.cos(this.dec * RAD))) || 45;
      const ras = all ? steps(0, 330, 30) : steps(Math.ceil((this.ra - widen) / raStep) * raStep, this.ra + widen, raStep);
      const [low, high] = all ? [-90, 90] : [Math.max(-90, this.dec - this.fov), Math.min(90, this.dec + this.fov)];
      const meridian = (ra) => between(low, high, Math.max(fine, (high - low) / 200)).map((d) => [ra, d]);
      const parallel = (dec) => between(this.ra - widen + 0.001, this.ra + widen - 0.001, Math.max(fine, widen / 200)).map((a) => [a, dec]);
      for (const ra of ras) { this.line(meridian(ra)); c.stroke(); }
      for (const dec of decs) { this.line(parallel(dec)); c.stroke(); }
      if (all) for (const side of [-179.999, 179.999]) { this.line(steps(-90, 90, 2).map((d) => [this.ra + side, d])); c.stroke(); }
      const places = Math.max(0, -Math.floor(Math.log10(step)));
      const degrees = (value) => `${value.toFixed(places).replace("-", "−")}°`;
      // the whole sky has its labels along its middle, hours below the line and degrees above it; else a line has it where it meets the edge
      c.textAlign = "center";
      const bottom = this.height - 6;
      const named = new Map();
      for (const ra of ras) {
        const turned = Math.round((((ra % 360) + 360) % 360) * 1e6) / 1e6;
        const p = all ? this.project(ra, 0) : [this.crossing(meridian(ra), 1, bottom), bottom + 4];
        if (!p || p[0] === null) continue; // it is not on the map, or meets no edge
        const free = [...named.values()].every((x) => Math.abs(x - p[0]) > 40);
        if (p[0] > 20 && p[0] < this.width - 20 && !named.has(turned) && free) {
          named.set(turned, p[0]);
          c.fillText(all ? `${turned / 15}ʰ` : degrees(turned), p[0], p[1] + (all ? 12 : -4));
        }
      }
      c.textAlign = "left";
      for (const dec of decs) {
        const y = all ? null : this.crossing(parallel(dec), 0, 5);
        const p = y === null ? this.project(this.ra, dec) : [2, y]; // near a pole it may meet no edge
        if (p && p[1] > 50 && p[1] < this.height - 16) c.fillText((dec > 0 ? "+" : "") + degrees(dec), p[0] + 3, p[1] - 3);
      }
    }

    squares() {
      const c = this.context;
      for (const one of this.run.mosaics) {
        const places = [];
        for (let i = 0; i < one.outline.length; i += 2) places.push([one.outline[i], one.outline[i + 1]]);
        if (!places.length || !this.line(places, true)) continue;
        const bad = one.state === "rejected";
        c.fillStyle = css(bad ? "--bad-fill" : "--fill");
        c.strokeStyle = css(bad ? "--bad" : "--edge");
        c.setLineDash(bad ? [3, 3] : []);
        c.fill();
        c.lineWidth = 0.8;
        c.stroke();
        c.setLineDash([]);
      }
    }

    points(list, small) {
      const c = this.context, { ra_deg, dec_deg } = list.columns;
      const paths = new Map();
      const full = this.fov > 100 && this.clusters.count > 500 ? 3 : this.fov > 60 ? 4 : 5.5;
      const size = small ? Math.max(2.5, 0.65 * full) : full;
      // what hosts nothing is drawn first, so that candidates lie above it
      const order = Array.from({ length: list.count }, (_, row) => row);
      const rank = (row) => (/R[HR]/.test(list.className(row)) ? 2 : list.className(row) === "U" ? 1 : 0);
      order.sort((a, b) => rank(a) - rank(b));
      for (const row of order) {
        if (ra_deg[row] === null) continue;
        const p = this.project(ra_deg[row], dec_deg[row]);
        if (!p || p[0] < -9 || p[1] < -9 || p[0] > this.width + 9 || p[1] > this.height + 9) continue;
        const [colour, shape] = Site.kindOf(list.className(row));
        if (!paths.has(shape)) paths.set(shape, new Path2D(Site.SHAPES[shape]));
        c.save();
        c.translate(p[0] - size, p[1] - size);
        c.scale(size / 8, size / 8);
        c.globalAlpha = 0.9;
        c.fillStyle = colour;
        c.fill(paths.get(shape), "evenodd");
        c.restore();
        this.hits.push([p[0], p[1], list, row]);
      }
    }

    near(event) {
      const box = this.canvas.getBoundingClientRect();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      let best = null, least = 12;
      for (const hit of this.hits || []) {
        const apart = Math.hypot(hit[0] - x, hit[1] - y);
        if (apart <= least) { best = hit; least = apart; }
      }
      return best;
    }

    listen() {
      const canvas = this.canvas;
      let from = null, moved = false;
      canvas.addEventListener("pointerdown", (event) => { from = [event.clientX, event.clientY]; moved = false; canvas.setPointerCapture(event.pointerId); });
      canvas.addEventListener("pointermove", (event) => {
        if (from) {
          const dx = event.clientX - from[0], dy = event.clientY - from[1];
          if (Math.hypot(dx, dy) < 3 && !moved) return;
          moved = true;
          from = [event.clientX, event.clientY];
          this.move(dx, dy);
          return;
        }
        const hit = this.near(event);
        canvas.style.cursor = hit ? "pointer" : "grab";
        this.tip.hidden = !hit;
        if (hit) {
          const [x, y, list, row] = hit;
          this.tip.replaceChildren(h("b", null, list.at("name", row)), ` ${list.className(row)}, p ${Site.number(list.at(list.chance, row), 2)}`);
          this.tip.style.left = `${Math.min(x + 12, this.width - 180)}px`;
          this.tip.style.top = `${y + 12}px`;
        }
      });
      canvas.addEventListener("pointerup", (event) => {
        const hit = !moved && this.near(event);
        from = null;
        if (hit) location.hash = hit[2].link(hit[3]);
      });
      canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
      canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2); }, { passive: false });
      canvas.addEventListener("keydown", (event) => {
        const step = 60;
        const act = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
        if (act) this.move(...act);
        else if (event.key === "+" || event.key === "=") this.zoom(1.6);
        else if (event.key === "-") this.zoom(1 / 1.6);
        else return;
        event.preventDefault();
      });
    }

    move(dx, dy) {
      const degrees = 1 / (this.scale * RAD);
      this.ra = (((this.ra + dx * degrees / Math.max(0.1, Math.cos(this.tilt * RAD))) % 360) + 360) % 360;
      this.dec = Math.max(-90, Math.min(90, this.dec + dy * degrees));
      this.draw();
    }
  }

  return { Map: Map_ };
})();
