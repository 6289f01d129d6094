// A button with data-print prints the page: it waits for nothing, and is hidden where nothing can be printed by script.

function show() {
  for (const button of document.querySelectorAll('button[data-print]')) button.hidden = typeof window.print !== 'function';
}

document.addEventListener('click', (event) => {
  if (event.target.closest?.('button[data-print]')) window.print();
});
document.addEventListener('mf:changed', show);
show();
