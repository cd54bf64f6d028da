const assets = document.currentScript.src.replace(/[^/]*$/, "")

document$.subscribe(() => {
  // A table wider than the page scrolls inside a box of its own: let the keyboard reach it.
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
  }
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
