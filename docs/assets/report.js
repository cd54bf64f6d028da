const assets = document.currentScript.src.replace(/[^/]*$/, "")

// What is wider than the page scrolls inside a box of its own: let the keyboard reach it, as wide as the page is now.
const boxes = new ResizeObserver((entries) => {
  for (const { target } of entries)
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0
    else target.removeAttribute("tabindex")
})

document$.subscribe(() => {
  boxes.disconnect()
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, math[display=block]"))
    boxes.observe(box)
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search") // the theme leaves it without a name
  // What only the Explore page needs is loaded there alone, in this order; without its data there is no explorer.
  if (!document.getElementById("explorer")) return
  const style = document.createElement("link")
  Object.assign(style, { rel: "stylesheet", href: `${assets}explorer.css` })
  document.head.append(style)
  for (const name of ["explorer-data.js", "explorer.js"]) {
    const script = document.createElement("script")
    Object.assign(script, { src: assets + name, async: false })
    document.head.append(script)
  }
})
