// Choosing rows of a table: a part with data-select. The box with data-all checks every row of the page, the one with
// data-everything="N" stands for all N rows, on other pages too; elements with data-count tell how many are chosen, and
// buttons with data-needs-chosen work once there is one.

function count(part) {
  const boxes = [...part.querySelectorAll('tbody input[type=checkbox]')];
  const everything = part.querySelector('[data-everything]');
  const here = boxes.filter((box) => box.checked).length;
  const chosen = everything?.checked ? Number(everything.dataset.everything) : here;
  for (const button of part.querySelectorAll('[data-needs-chosen]')) button.disabled = chosen === 0;
  for (const told of part.querySelectorAll('[data-count]')) {
    told.textContent = chosen ? told.dataset.count.replace('{n}', chosen.toLocaleString('en')) : told.dataset.none;
  }
  const all = part.querySelector('[data-all]');
  if (!all) return;
  all.checked = boxes.length > 0 && here === boxes.length;
  all.indeterminate = here > 0 && here < boxes.length;
}

for (const part of document.querySelectorAll('[data-select]')) {
  part.addEventListener('change', (event) => {
    if (event.target.matches('[data-all]')) {
      for (const box of part.querySelectorAll('tbody input[type=checkbox]')) box.checked = event.target.checked;
    }
    count(part);
  });
  document.addEventListener('mf:changed', () => count(part));
  count(part);
}
