// JSON-RPC 2.0 over a WebSocket, one message a frame, and connecting again when it breaks.

const LONGEST_WAIT = 5_000;
const PATIENCE = 20_000;

/** A connection that comes back. `opened()` and `closed(reason)` are told; `handlers` take notifications by method. */
export class Rpc {
  constructor(url, { opened, closed, handlers }) {
    this.url = url;
    this.opened = opened;
    this.closed = closed;
    this.handlers = handlers;
    this.pending = new Map();
    this.number = 0;
    this.socket = null;
    this.wait = 250;
    this.waiting = 0;
  }

  /** Connect now, also while it waits to do so. */
  connect() {
    clearTimeout(this.waiting);
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.take(event.data);
    socket.onclose = (event) => {
      for (const { reject } of this.pending.values()) reject(new Error("the connection broke off"));
      this.pending.clear();
      this.waiting = setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(LONGEST_WAIT, this.wait * 2);
      this.closed(event.reason);
    };
  }

  /** The connection has proved good: the next time it breaks, connect again at once. */
  isGood() {
    this.wait = 250;
  }

  get isOpen() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  /** Ask; the promise fails with the server's error, when the connection breaks, or when no answer comes. */
  request(method, params) {
    if (!this.isOpen) return Promise.reject(new Error("there is no connection"));
    const id = ++this.number;
    const answer = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), PATIENCE);
      const ended = (settle) => (value) => {
        clearTimeout(timer);
        this.pending.delete(id);
        settle(value);
      };
      this.pending.set(id, { resolve: ended(resolve), reject: ended(reject) });
    });
    this.send({ id, method, params });
    return answer;
  }

  notify(method, params) {
    if (this.isOpen) this.send({ method, params });
  }

  send(message) {
    this.socket.send(JSON.stringify({ jsonrpc: "2.0", ...message }));
  }

  take(frame) {
    const message = JSON.parse(frame);
    if (message.method === undefined) {
      const asked = this.pending.get(message.id);
      if (message.error) asked?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
      else asked?.resolve(message.result);
    } else if (message.id === undefined) this.handlers[message.method]?.(message.params);
    else this.send({ id: message.id, result: null }); // nothing that the server may ask for is needed here
  }
}
