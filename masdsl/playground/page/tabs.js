// Tabs, by pointer and by keys, as the WAI-ARIA practices have them.

/** Make tabs of a list; `chosen(id)` is told the panel that is seen. */
export function makeTabs(list, chosen) {
  const tabs = [...list.querySelectorAll('[role="tab"]')];
  function choose(tab) {
    for (const one of tabs) {
      const isIt = one === tab;
      one.setAttribute("aria-selected", String(isIt));
      one.tabIndex = isIt ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = !isIt;
    }
    chosen(tab.getAttribute("aria-controls"));
  }
  for (const tab of tabs) tab.onclick = () => choose(tab);
  list.onkeydown = (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const tab = tabs[(to + tabs.length) % tabs.length];
    tab.focus();
    choose(tab);
  };
  return (panel) => choose(tabs.find((one) => one.getAttribute("aria-controls") === panel));
}
