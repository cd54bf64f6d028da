// The Explore page. It draws window.SPARSITY (explorer-data.js), where verdicts and their words stand already:
// there are no rules here. Names become text alone, never markup.
(() => {
  const DATA = window.SPARSITY
  const root = document.getElementById("explorer")
  if (!DATA || !root || !DATA.models.length) return

  const [LEVEL, VALUE, LOW, HIGH, RATIO, RATIO_LOW, RATIO_HIGH, VERDICT, SHOWN, AROUND, SAID, RECORD, STORED] =
    Array(13).keys()
  const LEVELS = DATA.levels
  const LISTS = { model: DATA.models, task: DATA.tasks, method: DATA.methods, shape: DATA.shapes }
  const TITLES = { model: "Model", task: "Task", method: "Method", shape: "Batch × tokens" }
  const [TALL, LEFT, RIGHT, TOP, BOTTOM] = [230, 52, 16, 12, 24] // of a picture

  // ---- curves by what they are of

  const curves = new Map()
  for (const [measure, some] of Object.entries(DATA.curves))
    for (const [model, method, place, unit, by, about, marks, noise, machine, points] of some)
      curves.set([measure, model, method, place].join(), { model, method, unit, by, about, marks, noise, machine, points })
  const pairs = new Set([...curves.values()].map((one) => `${one.model} ${one.method}`))
  const known = (model, method) => pairs.has(`${model} ${method}`)

  const PLACES = { quality: "task", speed: "shape" }
  const curve = (measure, side) => curves.get([measure, side.model, side.method, state[PLACES[measure]] || 0].join())
  const at = (one, level) => one && one.points.find((point) => point[LEVEL] === level)

  // ---- the state, and the address that carries it

  const middle = LEVELS.findIndex(([key]) => key === "0.5")
  const defaults = () => ({
    model: 0, task: 0, method: 0, shape: 0, other: null,
    level: middle < 0 ? Math.floor(LEVELS.length / 2) : middle,
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
    for (const [name, list] of Object.entries({ ...LISTS, level: LEVELS })) {
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
    said.set("level", LEVELS[state.level][0])
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
      location.replace(address()) // from a file
    }
  }

  // ---- elements

  function fill(made, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    made.append(...children)
    return made
  }
  const el = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children)
  const svg = (name, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children)
  const capital = (text) => text[0].toUpperCase() + text.slice(1)
  const named = (side) =>
    DATA.models[side.model][1] + (DATA.methods.length > 1 ? ` by ${DATA.methods[side.method][1]}` : "")

  // ---- controls

  const controls = {}
  function choose(name, place) {
    state[name] = place
    settle()
    show()
    keep()
  }

  function choice(name) {
    const list = LISTS[name]
    const id = `explorer-${name}`
    if (list.length > 8) {
      const select = el("select", { id }, ...list.map((one, place) => el("option", { value: place }, one[1])))
      select.addEventListener("change", () => choose(name, Number(select.value)))
      controls[name] = () => {
        for (const [place, option] of [...select.options].entries()) option.disabled = !offered[name](place)
        select.value = state[name]
      }
      return el("div", { class: "choice" }, el("label", { for: id }, TITLES[name]), select)
    }
    const chips = list.map(([, text, about], place) => {
      const chip = el("button", { type: "button", class: "chip", title: name === "task" ? about : text }, text)
      chip.addEventListener("click", () => choose(name, place))
      return chip
    })
    const row = el("div", { class: "chips" }, ...chips)
    controls[name] = () => {
      for (const [place, chip] of chips.entries()) {
        const chosen = place === state[name]
        chip.hidden = !offered[name](place)
        chip.setAttribute("aria-pressed", chosen)
        if (chosen) row.scrollLeft = chip.offsetLeft - row.offsetLeft - 30
      }
    }
    return el("div", { class: "choice", role: "group", "aria-label": TITLES[name] }, el("span", {}, TITLES[name]), row)
  }

  function levels() {
    const options = LEVELS.map(([, name], place) => el("option", { value: place, label: name }))
    const stops = el("datalist", { id: "explorer-stops" }, ...options)
    const slider = el("input", { type: "range", id: "explorer-level", max: LEVELS.length - 1, list: "explorer-stops" })
    const step = Math.ceil(LEVELS.length / 12)
    const names = LEVELS.map(([, name], place) => el("span", {}, place % step ? "" : name))
    slider.addEventListener("input", () => {
      state.level = Number(slider.value)
      changed()
      keep()
    })
    controls.level = () => {
      slider.value = state.level
      slider.setAttribute("aria-valuetext", LEVELS[state.level][1])
      for (const [place, name] of names.entries()) name.classList.toggle("now", place === state.level)
    }
    const track = el("div", { class: "track" }, slider, el("div", { "aria-hidden": "true" }, ...names))
    return el("div", { class: "choice" }, el("label", { for: "explorer-level" }, "Zeros"), track, stops)
  }

  function actions() {
    const select = el("select", { id: "explorer-with" })
    select.addEventListener("change", () => {
      const [model, method] = select.value.split(" ").map(Number)
      state.other = select.value ? { model, method } : null
      changed()
      keep()
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
    const button = el("button", { type: "button", class: "chip" }, "CSV of this")
    button.addEventListener("click", download)
    const compare = el("span", {}, el("label", { for: "explorer-with" }, "Compare with"), " ", select)
    return el("div", { class: "actions" }, compare, button)
  }

  // ---- the verdict

  const verdict = el("div", { class: "verdict", role: "status", "aria-live": "polite" })

  function sentence(side, place) {
    const quality = curve("quality", side)
    const answer = at(quality, state.level)
    const what = answer && DATA.states[answer[VERDICT]]
    const line = el("p", { class: `side-${place}` }, el("span", { class: "who" }, named(side)), " ")
    if (what) line.append(el("span", { class: `sign state-${answer[VERDICT]}`, "aria-hidden": "true" }, what[1]), " ")
    let head = answer ? "Undecided" : "No answers on record"
    if (what) head = capital(quality.unit === "perplexity" ? what[3] : what[0])
    if (what && !what[2] && state.level === 0) head = "Unpruned"
    const where = `${quality ? ` on ${DATA.tasks[state.task][1]}` : ""} at ${LEVELS[state.level][1].replace("dense", "0 %")}`
    line.append(el("strong", {}, head), `${where}${answer ? ": " + answer[SAID] : ""}. `)
    const [time, size] = ["speed", "bytes"].map((measure) => at(curve(measure, side), state.level))
    const costs = []
    if (time) costs.push(`${capital(time[SAID])} for ${DATA.shapes[state.shape][1]} tokens.`)
    if (size) costs.push(`${capital(size[SAID])}.`)
    if (what && what[2] && costs.length) line.append("Without answers no gain counts. ", el("small", {}, costs.join(" ")))
    else line.append(costs.join(" "))
    return line
  }

  // ---- panels

  const marked = (some) => some.flatMap((one) => one.marks.map(([, y]) => y))
  const power = (y) => (y >= 1000 ? `10${"⁰¹²³⁴⁵⁶⁷⁸⁹"[Math.round(Math.log10(y))] || "…"}` : String(y))
  const steps = (low, high, step) =>
    Array.from({ length: Math.floor((high - low) / step + 1.001) }, (_, place) => Number((low + place * step).toFixed(6)))
  const upward = (high) => {
    const step = [0.25, 0.5, 1, 2, 5, 10, 20, 50, 100].find((step) => high / step <= 5) || high / 4
    return { low: 0, high, ticks: steps(0, high, step), name: (y) => `${y}×` }
  }

  // What a panel draws of a curve, and its vertical axis over all points shown.
  const PANELS = {
    quality: {
      title: "Quality",
      y: [VALUE, LOW, HIGH],
      axis(shown, values) {
        if (shown[0].unit === "MCC") {
          const low = Math.min(0, Math.floor(4 * Math.min(...values)) / 4)
          return { low, high: 1, ticks: steps(low, 1, 0.25), name: (y) => String(y).replace("-", "−") }
        }
        if (shown[0].unit !== "perplexity")
          return { low: 0, high: 1, ticks: steps(0, 1, 0.25), name: (y) => `${100 * y} %` }
        const cap = Math.max(10, ...marked(shown))
        const powers = steps(0, 9, 1).map((y) => 10 ** y).filter((y) => y <= cap * 1.5)
        const low = Math.max(1, Math.min(...values.filter((y) => y > 0)) / 1.6)
        return { low, high: cap * 1.6, log: true, ticks: powers.filter((y) => y >= low), name: power }
      },
    },
    speed: {
      title: "Speed",
      y: [RATIO, RATIO_LOW, RATIO_HIGH],
      axis(shown, values) {
        return upward(Math.max(1.6, 1.12 * Math.max(...values)))
      },
    },
    bytes: {
      title: "Bytes",
      y: [RATIO, RATIO, RATIO],
      axis(shown, values) {
        return upward(1.12 * Math.max(1, ...values, ...marked(shown)))
      },
    },
  }

  const panels = Object.entries(PANELS).map(([measure, spec]) => {
    const about = el("span", { class: "about" })
    const read = el("p", { class: "read" })
    const picture = el("div", { class: "picture" })
    const title = el("p", { class: "title" }, el("strong", {}, spec.title), " ", about)
    const section = el("section", { "aria-label": spec.title }, title, read, picture)
    picture.addEventListener("click", (event) => {
      const box = picture.getBoundingClientRect()
      const place = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)
      state.level = Math.round(Math.max(0, Math.min(1, place)) * (LEVELS.length - 1))
      changed()
      keep()
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
        const line = el("span", { class: `side-${place}` })
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
    const axis = spec.axis(shown.map(({ one }) => one), values)
    const scale = axis.log ? Math.log10 : (y) => y
    const bottom = TALL - BOTTOM
    const y = (value) => {
      const inside = Math.max(axis.low, Math.min(axis.high, value))
      return bottom - ((scale(inside) - scale(axis.low)) / (scale(axis.high) - scale(axis.low))) * (bottom - TOP)
    }
    const last = LEVELS.length - 1
    const x = (level) => LEFT + (last ? level / last : 0.5) * (wide - LEFT - RIGHT)
    const spoken = shown.map(({ side, one }) =>
      `${named(side)}: ${one.points.map((p) => `${LEVELS[p[LEVEL]][1]} ${p[SHOWN]}`).join(", ")}`)
    const made = svg("svg", {
      viewBox: `0 0 ${wide} ${TALL}`, role: "img", "aria-label": `${spec.title}, ${shown[0].one.about}. ${spoken.join(". ")}`,
    })
    const put = (name, attributes, ...children) => made.append(svg(name, attributes, ...children))
    const text = (words, name, x, y, anchor) => put("text", { class: name, x, y, "text-anchor": anchor }, words)
    const [west, east] = [LEFT - 8, wide - RIGHT + 8]
    const level = (name, value) => put("line", { class: name, x1: west, x2: east, y1: y(value), y2: y(value) })

    put("line", { class: "here", x1: x(state.level), x2: x(state.level), y1: TOP, y2: bottom })
    for (const tick of axis.ticks) {
      level("rule", tick)
      text(axis.name(tick), "tick", west - 4, y(tick) + 4, "end")
    }
    const noise = shown[0].one.noise
    if (noise) {
      const high = y(1 + noise)
      put("rect", { class: "noise", x: west, width: east - west, y: high, height: Math.max(1, y(1 - noise) - high) })
    }
    const every = Math.ceil((38 * LEVELS.length) / (wide - LEFT))
    for (const [place, [, name]] of LEVELS.entries()) {
      const now = place === state.level
      if (now || (place % every === 0 && (every === 1 || Math.abs(place - state.level) > 1)))
        text(name, now ? "tick now" : "tick", x(place), TALL - 6, "middle")
    }
    if (measure === "speed") limit(put, text, axis, x, y)
    const left = measure === "quality" // where a curve is far from what it is held against
    for (const { one, place } of shown)
      if (!place || one.marks.join() !== shown[0].one.marks.join())
        for (const [name, value] of one.marks) {
          level(`mark side-${place}`, value)
          text(name, `name side-${place}`, left ? west + 2 : east - 2, y(value) + (place ? 13 : -5), left ? "start" : "end")
        }
    if (noise) text(`noise ±${(100 * noise).toFixed(1)} %`, "name", east - 2, y(1 - noise) + 14, "end")
    for (const { one, place } of [...shown].reverse()) line(one, place, spec, measure, put, x, y)
    picture.append(made)
  }

  function limit(put, text, axis, x, y) {
    const points = []
    let before = 1
    for (const [place, [, , most]] of LEVELS.entries()) {
      const over = most === null || most > axis.high
      const share = over ? (axis.high - before) / ((most ?? 2 * axis.high) - before) : 1
      points.push([x(place - 1 + share), y(over ? axis.high : most)])
      if (over) break
      before = most
    }
    if (points.length < 2) return
    put("polyline", { class: "limit", points: points.map((p) => p.join()).join(" ") })
    const [right, top] = points[points.length - 1]
    text("limit of the arithmetic", "name", Math.max(right - 8, 180), top + 10, "end")
  }

  function line(one, place, spec, measure, put, x, y) {
    const [value, low, high] = spec.y
    const points = one.points.filter((point) => point[value] !== null)
    const side = `side-${place}`
    put("polyline", { class: `line ${side}`, points: points.map((p) => `${x(p[LEVEL])},${y(p[value])}`).join(" ") })
    for (const point of points) {
      const [across, down] = [x(point[LEVEL]), y(point[value])]
      const now = point[LEVEL] === state.level ? " now" : ""
      if (point[low] !== null && point[high] !== null && low !== high)
        put("line", { class: `span ${side}`, x1: across, x2: across, y1: y(point[low]), y2: y(point[high]) })
      const signed = measure === "quality" && point[VERDICT] !== null
      put("circle", { class: `point ${side}${now}`, cx: across, cy: down, r: signed ? 7.5 : now ? 6 : 4.5 })
      if (signed)
        put("text", { class: `mini ${side}${now}`, x: across, y: down + 4, "text-anchor": "middle" }, DATA.states[point[VERDICT]][1])
    }
  }

  // ---- CSV

  function field(value) {
    if (typeof value !== "string") return String(value ?? "")
    const safe = /^\s*[=+\-@]/.test(value) ? `'${value}` : value // no formula
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
  }

  function csv() {
    const rows = [DATA.columns]
    for (const side of sides())
      for (const measure of Object.keys(PANELS)) {
        const one = curve(measure, side)
        if (!one) continue
        const verdicts = measure === "quality" ? DATA.states.map(([name]) => name) : DATA.speeds
        const shape = measure === "speed" ? DATA.shapes[state.shape][0].split("x").map(Number) : [null, null]
        for (const p of one.points)
          rows.push([
            DATA.models[side.model][1], DATA.methods[side.method][1], Number(LEVELS[p[LEVEL]][0]), measure,
            measure === "quality" ? DATA.tasks[state.task][3] : null, ...shape, one.unit, p[STORED], p[VALUE], p[LOW], p[HIGH],
            one.by, p[RATIO], p[RATIO_LOW], p[RATIO_HIGH], verdicts[p[VERDICT]], DATA.records[p[RECORD]],
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

  // ---- all together

  function show() {
    for (const one of Object.values(controls)) one()
    changed()
  }
  function changed() {
    controls.level()
    verdict.replaceChildren(...sides().map(sentence))
    root.classList.toggle("two", Boolean(state.other))
    panels.forEach(draw)
  }

  const bar = el("div", { class: "steer" })
  for (const name of Object.keys(LISTS)) if (LISTS[name].length > 1) bar.append(choice(name))
  bar.append(levels())
  root.append(bar, actions(), verdict, el("div", { class: "panels" }, ...panels.map((panel) => panel.section)))

  const asked = () => location.hash.includes("=") && location.hash.slice(1)
  restore(asked() || location.search)
  show()
  addEventListener("hashchange", () => {
    if (!asked()) return
    restore(asked())
    show()
  })
  let wide = root.clientWidth
  new ResizeObserver(() => {
    root.style.setProperty("--top", `${document.querySelector(".md-header").offsetHeight}px`)
    if (root.clientWidth !== wide) panels.forEach(draw)
    wide = root.clientWidth
  }).observe(root)
})()
