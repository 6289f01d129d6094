// Live parts: an element with data-live="SECONDS" asks the server for itself so often, while the tab is seen. The
// answer is HTML with hx-swap-oob parts, or 204 when nothing has changed. X-Live-Seconds sets the pace anew, 0 ends it:
// nothing happens any more without a person. Checked boxes, open details and the focus
// survive; rows are not re-sorted under the cursor, for the server sends them one by one.
//
//   <div data-live="2" hx-get="..." hx-trigger="live" hx-swap="none"></div>

const IDLE_SECONDS = 15;

const remembered = { checked: new Set(), open: new Set(), focus: null };

function remember(target) {
  remembered.checked = new Set([...target.querySelectorAll('input[type=checkbox]:checked[id]')].map((box) => box.id));
  remembered.open = new Set([...target.querySelectorAll('details[open][id]')].map((part) => part.id));
  remembered.focus = target.contains(document.activeElement) ? document.activeElement.id : null;
}

function restore(target) {
  for (const id of remembered.checked) {
    const box = document.getElementById(id);
    if (box && target.contains(box)) box.checked = true;
  }
  for (const id of remembered.open) {
    const part = document.getElementById(id);
    if (part && target.contains(part)) part.open = true;
  }
  if (remembered.focus && document.activeElement.id !== remembered.focus) {
    document.getElementById(remembered.focus)?.focus({ preventScroll: true });
  }
  document.dispatchEvent(new CustomEvent('mf:changed'));
}

function begin(part) {
  let seconds = Number(part.dataset.live);
  let isAsking = false;
  let isOver = false;
  const ask = () => {
    if (document.visibilityState !== 'visible' || isAsking || isOver || !part.isConnected) return;
    isAsking = true;
    window.htmx.trigger(part, 'live');
  };
  const again = () => {
    if (!part.isConnected || isOver) return;
    ask();
    setTimeout(again, seconds * 1000);
  };
  part.addEventListener('htmx:afterRequest', (event) => {
    isAsking = false;
    const header = event.detail.xhr?.getResponseHeader('X-Live-Seconds');
    const told = Number(header);
    isOver = header === '0';
    if (told) seconds = told;
    else if (!event.detail.successful) seconds = IDLE_SECONDS;
    const seen = event.detail.xhr?.getResponseHeader('X-Live-Seen');
    if (seen) part.setAttribute('hx-vals', JSON.stringify({ seen }));
    const at = event.detail.xhr?.getResponseHeader('X-Live-At');
    const clock = document.getElementById('as-of');
    if (at && clock) clock.textContent = at;
  });
  document.addEventListener('visibilitychange', ask);
  setTimeout(again, seconds * 1000);
}

document.addEventListener('htmx:oobBeforeSwap', (event) => remember(event.detail.target));
document.addEventListener('htmx:oobAfterSwap', (event) => {
  restore(document.getElementById(event.detail.target.id) ?? event.detail.target);
});
for (const part of document.querySelectorAll('[data-live]')) begin(part);
for (const note of document.querySelectorAll('[data-live-note]')) note.hidden = false;
document.querySelector('[data-focus]')?.focus();
