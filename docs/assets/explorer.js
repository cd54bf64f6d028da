// The Explore page. It draws window.SPARSITY (explorer-data.js), in which every verdict and its words stand
// already: there are no rules here. Names become text alone, never markup.
(() => {
  "use strict"
  const DATA = window.SPARSITY
  const root = document.getElementById("explorer")
  if (!DATA || !root || !DATA.models.length) return

  const [LEVEL, VALUE, LOW, HIGH, RATIO, RATIO_LOW, RATIO_HIGH, VERDICT, SHOWN, AROUND, SAID, RECORD, STORED] =
    Array(13).keys()
  const CHIPS = 8 // from more on a choice is a list
  const LISTS = { model: DATA.models, task: DATA.tasks, method: DATA.methods, shape: DATA.shapes }
  const TITLES = { model: "Model", task: "Task", method: "Method", shape: "Batch × tokens" }
  const TALL = 230
  const EDGE = { left: 52, right: 16, top: 12, bottom: 24 }

  // ---- curves by what they are of ------------------------------------------------------------

  const curves = new Map()
  for (const [measure, some] of Object.entries(DATA.curves))
    for (const [model, method, place, unit, by, about, marks, noise, machine, points] of some)
      curves.set([measure, model, method, place].join(), { unit, by, about, marks, noise, machine, points, measure })
  const keys = [...curves.keys()]

  const PLACES = { quality: "task", speed: "shape" }
  const curve = (measure, side) =>
    curves.get([measure, side.model, side.method, PLACES[measure] ? state[PLACES[measure]] : 0].join())
  const at = (one, level) => one && one.points.find((point) => point[LEVEL] === level)
  const starts = (...parts) => keys.some((key) => key.startsWith(parts.join() + ","))
  const known = (model, method) => Object.keys(DATA.curves).some((measure) => starts(measure, model, method))

  // ---- the state, and the address that carries it ---------------------------------------------

  const middle = DATA.levels.findIndex(([key]) => key === "0.5")
  const defaults = () => ({
    model: 0, task: 0, method: 0, shape: 0, other: null,
    level: middle < 0 ? Math.floor(DATA.levels.length / 2) : middle,
  })
  let state = defaults()
  const sides = () => [{ model: state.model, method: state.method }, state.other].filter(Boolean)
  const comparable = (model, method) =>
    known(model, method) &&
    DATA.models[model][2] === DATA.models[state.model][2] &&
    !(model === state.model && method === state.method)
  const offered = {
    model: () => true,
    method: (index) => known(state.model, index),
    task: (index) => curves.has(["quality", state.model, state.method, index].join()),
    shape: (index) => curves.has(["speed", state.model, state.method, index].join()),
  }

  function settle() {
    for (const name of ["method", "task", "shape"])
      if (!offered[name](state[name])) {
        const first = LISTS[name].findIndex((_, index) => offered[name](index))
        if (first >= 0) state[name] = first
      }
    if (state.other && !comparable(state.other.model, state.other.method)) state.other = null
  }

  const index = (list, key) => list.findIndex((one) => one[0] === key)

  function restore(text) {
    const asked = new URLSearchParams(text)
    state = defaults()
    for (const [name, list] of Object.entries({ ...LISTS, level: DATA.levels })) {
      const place = index(list, asked.get(name))
      if (place >= 0) state[name] = place
    }
    const model = index(DATA.models, asked.get("with"))
    if (model >= 0) state.other = { model, method: Math.max(0, index(DATA.methods, asked.get("by"))) }
    settle()
  }

  function address() {
    const said = new URLSearchParams()
    for (const name of Object.keys(LISTS)) if (LISTS[name].length) said.set(name, LISTS[name][state[name]][0])
    said.set("level", DATA.levels[state.level][0])
    if (state.other) {
      said.set("with", DATA.models[state.other.model][0])
      said.set("by", DATA.methods[state.other.method][0])
    }
    return "#" + said
  }

  function keep() {
    try {
      history.replaceState(history.state, "", address())
    } catch {
      location.replace(address()) // where a page from a file may not
    }
  }

  // ---- elements ---------------------------------------------------------------------------------

  function fill(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    made.append(...children)
    return made
  }
  const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children)
  const svg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children)
  const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1)
  const named = (side) =>
    DATA.models[side.model][1] + (DATA.methods.length > 1 ? ` by ${DATA.methods[side.method][1]}` : "")

  // ---- controls ---------------------------------------------------------------------------------

  const controls = {}
  function choose(name, place) {
    state[name] = place
    settle()
    changed()
  }

  function choice(name) {
    const list = LISTS[name]
    const id = `explorer-${name}`
    if (list.length > CHIPS) {
      const select = el("select", { id }, ...list.map((one, place) => el("option", { value: place }, one[1])))
      select.addEventListener("change", () => choose(name, Number(select.value)))
      controls[name] = () => {
        for (const [place, option] of [...select.options].entries()) option.disabled = !offered[name](place)
        select.value = state[name]
      }
      return el("div", { class: "explorer-choice" }, el("label", { for: id }, TITLES[name]), select)
    }
    const chips = list.map(([, text, about], place) => {
      const chip = el("button", { type: "button", class: "explorer-chip", title: name === "task" ? about : text }, text)
      chip.addEventListener("click", () => choose(name, place))
      return chip
    })
    controls[name] = () => {
      for (const [place, chip] of chips.entries()) {
        chip.disabled = !offered[name](place)
        chip.setAttribute("aria-pressed", String(place === state[name] && !chip.disabled))
      }
    }
    const row = el("div", { class: "explorer-chips" }, ...chips)
    const title = el("span", { id }, TITLES[name])
    return el("div", { class: "explorer-choice", role: "group", "aria-labelledby": id }, title, row)
  }

  function levels() {
    const last = DATA.levels.length - 1
    const stops = el("datalist", { id: "explorer-stops" })
    stops.append(...DATA.levels.map(([, name], place) => el("option", { value: place, label: name })))
    const slider = el("input", {
      type: "range", id: "explorer-level", min: 0, max: last, step: 1, list: "explorer-stops",
    })
    const step = Math.ceil(DATA.levels.length / 12)
    const names = DATA.levels.map(([, name], place) => el("span", {}, place % step ? "" : name))
    slider.addEventListener("input", () => {
      state.level = Number(slider.value)
      moved()
    })
    controls.level = () => {
      slider.value = state.level
      slider.setAttribute("aria-valuetext", DATA.levels[state.level][1])
      for (const [place, name] of names.entries()) name.classList.toggle("explorer-now", place === state.level)
    }
    const track = el("div", { class: "explorer-track" }, slider, el("div", { "aria-hidden": "true" }, ...names))
    return el("div", { class: "explorer-choice" }, el("label", { for: "explorer-level" }, "Zeros"), track, stops)
  }

  function actions() {
    const select = el("select", { id: "explorer-with" })
    select.addEventListener("change", () => {
      const [model, method] = select.value.split(" ").map(Number)
      state.other = select.value ? { model, method } : null
      changed()
    })
    controls.other = () => {
      const options = [el("option", { value: "" }, "nothing else")]
      for (const model of DATA.models.keys())
        for (const method of DATA.methods.keys())
          if (comparable(model, method))
            options.push(el("option", { value: `${model} ${method}` }, named({ model, method })))
      select.replaceChildren(...options)
      select.value = state.other ? `${state.other.model} ${state.other.method}` : ""
      select.parentElement.hidden = options.length < 2
    }
    const button = el("button", { type: "button", class: "explorer-chip" }, "CSV of this")
    button.addEventListener("click", download)
    const compare = el("span", {}, el("label", { for: "explorer-with" }, "Compare with"), " ", select)
    return el("div", { class: "explorer-actions" }, compare, button)
  }

  // ---- the verdict ------------------------------------------------------------------------------

  const verdict = el("div", { class: "explorer-verdict", role: "status", "aria-live": "polite", "aria-atomic": "true" })
  const task = () => (DATA.tasks.length ? DATA.tasks[state.task][1] : "")

  function sentence(side, place) {
    const quality = curve("quality", side)
    const answer = at(quality, state.level)
    const where = `${quality ? ` on ${task()}` : ""} at ${DATA.levels[state.level][1].replace("dense", "0 %")}`
    const what = answer && answer[VERDICT] !== null ? DATA.states[answer[VERDICT]] : null
    const line = el("p", { class: `explorer-side-${place}` }, el("span", { class: "explorer-who" }, named(side)), " ")
    if (what) line.append(el("span", { class: `explorer-sign explorer-state-${answer[VERDICT]}`, "aria-hidden": "true" }, what[1]), " ")
    let head = "Not on record"
    if (answer) head = "Undecided"
    if (what) head = capital(quality.unit === "perplexity" ? what[3] : what[0])
    if (what && !what[2] && state.level === 0) head = "Unpruned"
    line.append(el("strong", {}, head), `${where}${answer ? ": " + answer[SAID] : ""}. `)
    const costs = ["speed", "bytes"].map((measure) => [measure, at(curve(measure, side), state.level)])
    const said = costs.filter(([, point]) => point)
      .map(([measure, point]) => point[SAID] + (measure === "speed" ? ` for ${DATA.shapes[state.shape][1]} tokens` : ""))
      .join("; ")
    if (said) line.append(what && what[2] ? `What else it gains counts for nothing: ${said}.` : `${capital(said)}.`)
    return line
  }

  // ---- panels -----------------------------------------------------------------------------------

  const format = { percent: (y) => `${Math.round(100 * y)} %`, plain: (y) => String(y).replace("-", "−"), times: (y) => `${y}×` }
  const power = (y) => (y >= 1000 ? `10${"⁰¹²³⁴⁵⁶⁷⁸⁹"[Math.round(Math.log10(y))] || "…"}` : String(y))
  const steps = (low, high, step) =>
    Array.from({ length: Math.floor((high - low) / step + 1.001) }, (_, place) => Number((low + place * step).toFixed(6)))
  const nice = (span) => [0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 500].find((step) => span / step <= 5) || span / 4

  // What a panel draws of a curve, and its vertical axis over all points shown.
  const PANELS = {
    quality: {
      title: "Quality",
      y: [VALUE, LOW, HIGH],
      axis(shown, values) {
        if (shown[0].unit === "MCC") {
          const low = Math.min(0, Math.floor(4 * Math.min(...values)) / 4)
          return { low, high: 1, ticks: steps(low, 1, 0.25), name: format.plain }
        }
        if (shown[0].unit !== "perplexity") return { low: 0, high: 1, ticks: steps(0, 1, 0.25), name: format.percent }
        const cap = Math.max(...shown.flatMap((one) => one.marks.map(([, y]) => y)), 10)
        const powers = steps(0, 9, 1).map((y) => 10 ** y).filter((y) => y <= cap * 1.5)
        const low = Math.max(1, Math.min(...values.filter((y) => y > 0)) / 1.6)
        return { low, high: cap * 1.6, log: true, ticks: powers.filter((y) => y >= low), name: power }
      },
    },
    speed: {
      title: "Speed",
      y: [RATIO, RATIO_LOW, RATIO_HIGH],
      axis(shown, values) {
        const high = Math.max(1.6, 1.12 * Math.max(...values))
        return { low: 0, high, ticks: steps(0, high, nice(high)), name: format.times }
      },
    },
    bytes: {
      title: "Bytes",
      y: [RATIO, RATIO, RATIO],
      axis(shown, values) {
        const high = 1.12 * Math.max(1, ...values, ...shown.flatMap((one) => one.marks.map(([, y]) => y)))
        return { low: 0, high, ticks: steps(0, high, nice(high)), name: format.times }
      },
    },
  }

  const panels = Object.entries(PANELS).map(([measure, spec]) => {
    const about = el("span", { class: "explorer-about" })
    const read = el("p", { class: "explorer-read" })
    const picture = el("div", { class: "explorer-picture" })
    const title = el("p", { class: "explorer-title" }, el("strong", {}, spec.title), " ", about)
    const section = el("section", { "aria-label": spec.title }, title, read, picture)
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect()
      const place = (event.clientX - box.left - EDGE.left) / (box.width - EDGE.left - EDGE.right)
      state.level = Math.max(0, Math.min(DATA.levels.length - 1, Math.round(place * (DATA.levels.length - 1))))
      moved()
    })
    return { measure, spec, about, read, picture, section }
  })

  function draw({ measure, spec, about, read, picture }) {
    const all = sides().map((side, place) => ({ side, place, one: curve(measure, side) }))
    const first = all[0].one
    const apart = (one) => one && first && one !== first && measure === "speed" && one.machine !== first.machine
    const shown = all.filter(({ one }) => one && !apart(one))
    about.textContent = shown.length ? shown[0].one.about : ""
    read.replaceChildren(
      ...all.map(({ place, one }) => {
        const point = at(one, state.level)
        const line = el("span", { class: `explorer-side-${place}` })
        if (apart(one)) line.append("timed on another machine")
        else if (!point) line.append(one ? "not on record" : "not measured")
        else line.append(el("b", {}, point[SHOWN]), " ", el("small", {}, point[AROUND]))
        return line
      })
    )
    picture.replaceChildren()
    if (!shown.length) return
    const wide = Math.max(240, Math.round(picture.clientWidth || 340))
    const values = shown.flatMap(({ one }) => one.points.flatMap((p) => spec.y.map((y) => p[y]))).filter((y) => y !== null)
    if (!values.length) return
    const axis = spec.axis(shown.map(({ one }) => one), values)
    const scale = axis.log ? Math.log10 : (y) => y
    const bottom = TALL - EDGE.bottom
    const y = (value) => {
      const inside = Math.max(axis.low, Math.min(axis.high, value))
      return bottom - ((scale(inside) - scale(axis.low)) / (scale(axis.high) - scale(axis.low))) * (bottom - EDGE.top)
    }
    const last = DATA.levels.length - 1
    const x = (level) => EDGE.left + (last ? level / last : 0.5) * (wide - EDGE.left - EDGE.right)
    const spoken = shown.map(({ side, one }) =>
      `${named(side)}: ${one.points.map((p) => `${DATA.levels[p[LEVEL]][1]} ${p[SHOWN]}`).join(", ")}`)
    const made = svg("svg", {
      viewBox: `0 0 ${wide} ${TALL}`, role: "img", "aria-label": `${spec.title}, ${shown[0].one.about}. ${spoken.join(". ")}`,
    })
    const put = (name, attributes, ...children) => made.append(svg(name, attributes, ...children))
    const text = (words, attributes) => put("text", attributes, words)

    for (const tick of axis.ticks) {
      put("line", { class: "explorer-grid", x1: EDGE.left, x2: wide - EDGE.right + 8, y1: y(tick), y2: y(tick) })
      text(axis.name(tick), { class: "explorer-tick", x: EDGE.left - 14, y: y(tick) + 4, "text-anchor": "end" })
    }
    const noise = shown[0].one.noise
    if (noise)
      put("rect", {
        class: "explorer-noise", x: EDGE.left - 8, width: wide - EDGE.left - EDGE.right + 16,
        y: y(1 + noise), height: Math.max(1, y(1 - noise) - y(1 + noise)),
      })
    put("line", { class: "explorer-here", x1: x(state.level), x2: x(state.level), y1: EDGE.top, y2: bottom })
    const every = Math.ceil((38 * DATA.levels.length) / (wide - EDGE.left))
    for (const [place, [, name]] of DATA.levels.entries())
      if (place % every === 0 || place === state.level)
        text(name, {
          class: place === state.level ? "explorer-tick explorer-now" : "explorer-tick", x: x(place), y: TALL - 6, "text-anchor": "middle",
        })
    if (measure === "speed") limit(put, text, axis, x, y)
    for (const { one, place } of shown)
      if (!place || one.marks.join() !== shown[0].one.marks.join())
        for (const [name, value] of one.marks) {
          put("line", { class: `explorer-mark explorer-side-${place}`, x1: EDGE.left - 8, x2: wide - EDGE.right + 8, y1: y(value), y2: y(value) })
          const left = measure === "quality"
          const above = place ? y(value) + 13 : y(value) - 5
          text(name, {
            class: `explorer-name explorer-side-${place}`, x: left ? EDGE.left - 6 : wide - EDGE.right + 6, y: above, "text-anchor": left ? "start" : "end",
          })
        }
    if (noise)
      text(`noise ±${(100 * noise).toFixed(1)} %`, { class: "explorer-name", x: wide - EDGE.right + 6, y: y(1 - noise) + 14, "text-anchor": "end" })
    for (const { one, place } of [...shown].reverse()) line(one, place, spec, measure, put, x, y)
    picture.append(made)
  }

  function limit(put, text, axis, x, y) {
    const points = []
    for (const [place, [, , most]] of DATA.levels.entries()) {
      const before = points.length ? DATA.levels[place - 1][2] : most
      if (most !== null && most <= axis.high) points.push([x(place), y(most)])
      else if (points.length) {
        const share = most === null ? 0.5 : (axis.high - before) / (most - before)
        points.push([x(place - 1) + share * (x(place) - x(place - 1)), EDGE.top])
        break
      }
    }
    if (points.length < 2) return
    put("polyline", { class: "explorer-limit", points: points.map((p) => p.join()).join(" ") })
    const [right, top] = points[points.length - 1]
    text("limit of the arithmetic", { class: "explorer-name", x: Math.max(right - 8, 140), y: Math.max(top, EDGE.top) + 10, "text-anchor": "end" })
  }

  function line(one, place, spec, measure, put, x, y) {
    const [value, low, high] = spec.y
    const points = one.points.filter((point) => point[value] !== null)
    const side = `explorer-side-${place}`
    put("polyline", { class: `explorer-line ${side}`, points: points.map((p) => `${x(p[LEVEL])},${y(p[value])}`).join(" ") })
    for (const point of points) {
      const [across, down] = [x(point[LEVEL]), y(point[value])]
      const now = point[LEVEL] === state.level ? " explorer-now" : ""
      if (point[low] !== null && point[high] !== null && low !== high)
        put("line", { class: `explorer-bar ${side}`, x1: across, x2: across, y1: y(point[low]), y2: y(point[high]) })
      const signed = measure === "quality" && point[VERDICT] !== null
      put("circle", { class: `explorer-point ${side}${now}`, cx: across, cy: down, r: signed ? 7.5 : now ? 6 : 4.5 })
      if (signed)
        put("text", { class: `explorer-mini ${side}${now}`, x: across, y: down + 4, "text-anchor": "middle" }, DATA.states[point[VERDICT]][1])
    }
  }

  // ---- CSV --------------------------------------------------------------------------------------

  function field(value) {
    if (typeof value !== "string") return value === null || value === undefined ? "" : String(value)
    const safe = /^\s*[=+\-@]/.test(value) ? `'${value}` : value // nothing that a spreadsheet would run
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }

  function csv() {
    const rows = [DATA.columns]
    for (const side of sides())
      for (const measure of Object.keys(PANELS)) {
        const one = curve(measure, side)
        const verdicts = measure === "quality" ? DATA.states.map(([name]) => name) : DATA.speeds
        const shape = measure === "speed" ? DATA.shapes[state.shape][0].split("x").map(Number) : [null, null]
        for (const p of one ? one.points : [])
          rows.push([
            DATA.models[side.model][1], DATA.methods[side.method][1], Number(DATA.levels[p[LEVEL]][0]), measure,
            measure === "quality" ? task() : null, ...shape, one.unit, p[STORED], p[VALUE], p[LOW], p[HIGH],
            one.by, p[RATIO], p[RATIO_LOW], p[RATIO_HIGH], p[VERDICT] === null ? null : verdicts[p[VERDICT]], DATA.records[p[RECORD]],
          ])
      }
    return rows.map((row) => row.map(field).join(",") + "\n").join("")
  }

  function download() {
    const url = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }))
    const link = el("a", { href: url, download: `explorer-${DATA.models[state.model][0]}.csv` })
    link.click()
    setTimeout(() => URL.revokeObjectURL(url), 1000)
  }

  // ---- all together -----------------------------------------------------------------------------

  function show() {
    controls.level()
    verdict.replaceChildren(...sides().map(sentence))
    root.classList.toggle("explorer-two", Boolean(state.other))
    for (const panel of panels) draw(panel)
  }
  function sync() {
    for (const one of Object.values(controls)) one()
    show()
  }
  function moved() {
    show()
    keep()
  }
  function changed() {
    sync()
    keep()
  }

  const bar = el("div", { class: "explorer-bar-top" })
  for (const name of Object.keys(LISTS)) if (LISTS[name].length > 1) bar.append(choice(name))
  bar.append(levels())
  root.append(bar, verdict, el("div", { class: "explorer-panels" }, ...panels.map((panel) => panel.section)), actions())

  restore(location.hash.includes("=") ? location.hash.slice(1) : location.search.slice(1))
  sync()
  addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return
    restore(location.hash.slice(1))
    sync()
  })
  let wide = root.clientWidth
  const header = document.querySelector(".md-header")
  new ResizeObserver(() => {
    if (header) root.style.setProperty("--explorer-top", `${header.offsetHeight}px`)
    if (root.clientWidth === wide) return
    wide = root.clientWidth
    for (const panel of panels) draw(panel)
  }).observe(root)
})()
