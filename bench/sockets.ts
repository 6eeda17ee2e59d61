/**
 * Linux's sockets without the runtime's event loop: the load generator must do less work than the
 * server that it measures. Needs `--allow-ffi`.
 */
const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
}).symbols;

const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EPOLL_CTL_ADD = 1;
const EPOLLIN = 1;
/** `struct epoll_event` is packed on x86-64 alone. */
const EVENT_BYTES = Deno.build.arch === "x86_64" ? 12 : 16;
const EVENTS_MAX = 512;

/** `struct sockaddr_in` of an IPv4 address. */
function socketAddress(hostname: string, port: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16);
  bytes[0] = AF_INET;
  bytes.set([port >> 8, port & 255, ...hostname.split(".").map(Number)], 2);
  return bytes;
}

/**
 * Connects to an IPv4 address, from the local address `from` if one is given, and returns the
 * descriptor of the socket.
 */
export function connect(hostname: string, port: number, from?: string): number {
  const socket = libc.socket(AF_INET, SOCK_STREAM, 0);
  if (socket < 0) throw new Error("Cannot open a socket: raise the limit with `ulimit -n`");
  if (from !== undefined) libc.bind(socket, socketAddress(from, 0), 16);
  if (libc.connect(socket, socketAddress(hostname, port), 16) < 0) {
    throw new Error(`Cannot connect to ${hostname}:${port}`);
  }
  libc.setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, new Uint8Array([1, 0, 0, 0]), 4);
  return socket;
}

/** Sends all bytes without waiting. Throws if the socket does not take all of them. */
export function send(socket: number, bytes: Uint8Array<ArrayBuffer>): void {
  const sent = libc.send(socket, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent !== bytes.length) throw new Error("The server has stopped reading");
}

/**
 * Receives what has arrived, and returns the number of bytes. With `wait` it blocks until something
 * arrives. Throws if the server has closed the connection, and without `wait` if nothing has arrived.
 */
export function receive(
  socket: number,
  buffer: Uint8Array<ArrayBuffer>,
  wait = false,
): number {
  const length = libc.recv(socket, buffer, buffer.length, wait ? 0 : MSG_DONTWAIT);
  if (length <= 0) throw new Error("The server closed a connection");
  return length;
}

/** Tells which of many sockets can be read. */
export class Poll {
  readonly #poll = libc.epoll_create1(0);
  readonly #events = new Uint8Array(EVENT_BYTES * EVENTS_MAX);
  readonly #view = new DataView(this.#events.buffer);

  /** Adds a socket, known by `index` from then on. */
  add(socket: number, index: number): void {
    const event = new Uint8Array(EVENT_BYTES);
    const view = new DataView(event.buffer);
    view.setUint32(0, EPOLLIN, true);
    view.setUint32(EVENT_BYTES - 8, index, true);
    libc.epoll_ctl(this.#poll, EPOLL_CTL_ADD, socket, event);
  }

  /** Waits `ms` milliseconds at most for sockets that can be read, and returns their number. */
  wait(ms: number): number {
    return libc.epoll_wait(this.#poll, this.#events, EVENTS_MAX, ms);
  }

  /** The index of a socket that can be read: `place` counts them from 0. */
  ready(place: number): number {
    return this.#view.getUint32(place * EVENT_BYTES + EVENT_BYTES - 8, true);
  }
}
