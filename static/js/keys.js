// Keys: an element with data-key is pressed, or focused where it is a field, by that key. In tables with data-rows,
// j and k go from row to row, x checks the row's box, Enter follows its link, r presses its button. Off inside fields.

const PLAIN = 'input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]';

function rows() {
  return [...document.querySelectorAll('[data-rows] > tr')];
}

function current() {
  return document.activeElement?.closest?.('[data-rows] > tr');
}

function move(step) {
  const all = rows();
  const place = all.indexOf(current());
  const next = all[place < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(place + step, 0), all.length - 1)];
  const link = next?.querySelector('th a, td a');
  link?.focus();
  link?.scrollIntoView({ block: 'nearest' });
}

function press(selector) {
  const found = current()?.querySelector(selector);
  found?.click();
  return Boolean(found);
}

const ROW_KEYS = {
  j: () => move(1),
  k: () => move(-1),
  x: () => press('input[type=checkbox]'),
  r: () => press('button[data-retry]'),
};

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.(PLAIN)) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  if (ROW_KEYS[event.key] && rows().length) {
    ROW_KEYS[event.key]();
    event.preventDefault();
    return;
  }
  const bound = [...document.querySelectorAll('[data-key]')].find((one) => one.dataset.key === event.key);
  if (!bound) return;
  if (bound.matches(PLAIN)) bound.focus();
  else bound.click();
  event.preventDefault();
});
