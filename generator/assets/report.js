// What is wider than the page scrolls inside a box of its own: let the keyboard reach it, as wide as the page is now.
const boxes = new ResizeObserver(entries => {
  for (const { target } of entries)
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0
    else target.removeAttribute("tabindex")
})

document$.subscribe(() => {
  boxes.disconnect()
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code, math[display=block]"))
    boxes.observe(box)
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search") // the theme leaves it without a name
})
