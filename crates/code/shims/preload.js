'use strict';
// Loaded by pellmell before a service in Node that is a client of NATS (NODE_OPTIONS --require): its clock, its chance
// and its timers are those of the simulation, and it says when the process has nothing left to do.
const control = process.env.PELLMELL_CONTROL;
if (control) {
  const net = require('node:net');
  const crypto = require('node:crypto');
  require('node:fs').writeFileSync(process.env.PELLMELL_PRELOADED, '');
  const { setTimeout: laterForReal, clearTimeout: forgetForReal, setImmediate: soon, setInterval: againForReal, Date: RealDate } = globalThis;

  let now = 0;
  globalThis.Date = new Proxy(RealDate, {
    construct: (date, given, as) => Reflect.construct(date, given.length ? given : [now], as),
    apply: () => new RealDate(now).toString(),
    get: (date, key) => (key === 'now' ? () => now : Reflect.get(date, key)),
  });

  // splitmix32, from the name of the service and the number of its starts
  let state = [...process.env.PELLMELL_CHANCE].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0, 2166136261);
  const word = () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const fill = (bytes) => { for (let place = 0; place < bytes.length; place += 1) bytes[place] = word() & 255; return bytes; };
  const over = (view) => new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength);
  Math.random = () => word() / 4294967296;
  const answered = (value, callback) => (callback ? void soon(callback, null, value) : value);
  const replace = (name, value, ...owners) => owners.forEach((owner) => Object.defineProperty(owner, name, { value, configurable: true, writable: true }));
  const filled = (view) => { fill(over(view)); return view; };
  replace('randomBytes', (size, callback) => answered(fill(Buffer.alloc(size)), callback), crypto);
  replace('randomFillSync', filled, crypto);
  const web = Object.getPrototypeOf(crypto.webcrypto);
  replace('getRandomValues', filled, web);
  replace('randomUUID', () => {
    const bytes = fill(Buffer.alloc(16));
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }, crypto, web);
  replace('randomInt', (low, high, callback) => {
    const [from, to, then] = typeof high === 'number' ? [low, high, callback] : [0, low, high];
    return answered(from + Math.floor(Math.random() * (to - from)), then);
  }, crypto);

  const socket = net.connect(Number(control), '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  const say = (line) => socket.write(`${JSON.stringify(line)}\n`);

  // Timers of the service itself are the simulation's; those of its packages are real, and no part of it.
  const timers = new Map();
  let made = Number(process.env.PELLMELL_TIMERS);
  const isOfService = () => {
    const caller = new Error().stack.split('\n')[3] ?? '';
    return !caller.includes('/node_modules/') && !caller.includes('node:');
  };
  class Timer {
    constructor(id) { this.id = id; }
    ref() { return this; }
    unref() { return this; }
    hasRef() { return true; }
    refresh() { return this; }
    [Symbol.toPrimitive]() { return this.id; }
  }
  globalThis.setTimeout = Object.assign((what, ms, ...given) => {
    if (!isOfService()) return laterForReal(what, ms, ...given);
    made += 1;
    timers.set(made, () => what(...given));
    say({ arm: { id: made, after_ms: Math.max(1, Math.round(Number(ms) || 0)) } });
    return new Timer(made);
  }, { [require('node:util').promisify.custom]: (ms, value) => new Promise((done) => globalThis.setTimeout(done, ms, value)) });
  globalThis.clearTimeout = (timer) => {
    if (!(timer instanceof Timer)) return forgetForReal(timer);
    if (timers.delete(timer.id)) say({ clear: timer.id });
  };
  globalThis.setInterval = (what, ms, ...given) => {
    if (isOfService()) say({ unsupported: 'setInterval: a timer that fires for ever; let it set a timer with setTimeout when there is something to do' });
    return againForReal(what, ms, ...given);
  };

  // Idle is who has nothing to do but to wait for its sockets, its children and timers.
  const waits = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'TTYWrap', 'Timeout', 'ProcessWrap', 'SignalWrap']);
  const whenIdle = (then, calm = 0) => soon(() => {
    const active = process.getActiveResourcesInfo();
    if (active.every((kind) => waits.has(kind))) calm += 1; else calm = 0;
    if (calm < 4) whenIdle(then, calm); else then(active.filter((kind) => kind === 'TCPSocketWrap').length);
  });
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const line = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      if (line.now_ms !== undefined) now = line.now_ms;
      const fire = timers.get(line.fire);
      timers.delete(line.fire);
      if (fire) soon(fire);
      whenIdle((sockets) => say({ idle: line.nth, sockets }));
    }
  });
  socket.unref();
}
