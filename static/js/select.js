// Choosing rows of a table: <form data-select>. The box with data-all checks every row of the page; elements with
// data-count tell how many are chosen, and buttons with data-needs-chosen work once there is one.

function count(form) {
  const boxes = [...form.querySelectorAll('tbody input[type=checkbox]')];
  const chosen = boxes.filter((box) => box.checked).length;
  for (const button of form.querySelectorAll('[data-needs-chosen]')) button.disabled = chosen === 0;
  for (const told of form.querySelectorAll('[data-count]')) {
    told.textContent = chosen ? told.dataset.count.replace('{n}', chosen) : told.dataset.none;
  }
  const all = form.querySelector('[data-all]');
  if (!all) return;
  all.checked = boxes.length > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
}

for (const form of document.querySelectorAll('form[data-select]')) {
  form.addEventListener('change', (event) => {
    if (event.target.matches('[data-all]')) {
      for (const box of form.querySelectorAll('tbody input[type=checkbox]')) box.checked = event.target.checked;
    }
    count(form);
  });
  document.addEventListener('mf:changed', () => count(form));
  count(form);
}
