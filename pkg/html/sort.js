for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells]
  heads.forEach((head, column) => {
    if (!head.textContent.trim() || head.querySelector("svg")) return
    const button = document.createElement("button")
    button.type = "button"
    button.append(...head.childNodes)
    head.append(button)
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending" ? 1 : -1
      heads.forEach(h => h.removeAttribute("aria-sort"))
      head.setAttribute("aria-sort", up > 0 ? "ascending" : "descending")
      const value = row => { // the number that a cell begins with, else its text
        const text = row.cells[column].textContent.trim().replace("−", "-").replace(/,/g, "")
        const number = parseFloat(text)
        return number === number ? number : column ? -Infinity : text
      }
      const rows = [...body.rows].filter(r => !r.classList.contains("macro"))
      rows.sort((a, b) => { const x = value(a), y = value(b); return up * (x < y ? -1 : x > y ? 1 : 0) })
      body.append(...rows)
    })
  })
}
