// The events of a run, as the server sends them, into its story.

const LAST = ["ended", "failed", "stopped"];

/**
 * Follow a run. `told` has: run(data) at its beginning, step(event), missed(number), last(kind, data), found() and
 * lost(isForGood) when the connection is there and when it breaks. Returns a function that stops following.
 */
export function follow(run, told) {
  const source = new EventSource(new URL(`api/runs/${encodeURIComponent(run)}/events`, document.baseURI));
  const on = (name, work) => source.addEventListener(name, (event) => work(JSON.parse(event.data)));
  source.onopen = () => told.found();
  source.onerror = () => told.lost(source.readyState === EventSource.CLOSED);
  on("run", (data) => told.run(data));
  on("step", (data) => told.step(data));
  on("missed", (data) => told.missed(data.events));
  for (const name of LAST) {
    on(name, (data) => {
      source.close();
      told.last(name, data);
    });
  }
  return () => source.close();
}
