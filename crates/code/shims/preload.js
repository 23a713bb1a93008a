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
  const replace = (name, value, ...owners) => owners.forEach((owner) => Object.defineProperty(owner, name, { value, configurable: true, writable: true }));
  globalThis.Date = new Proxy(RealDate, {
    construct: (date, given, as) => Reflect.construct(date, given.length ? given : [now], as),
    apply: () => new RealDate(now).toString(),
    get: (date, key) => (key === 'now' ? () => now : Reflect.get(date, key)),
  });

  // The clocks that only go on: from the beginning of the simulation.
  replace('now', () => now, Object.getPrototypeOf(performance));
  replace('timeOrigin', 0, Object.getPrototypeOf(performance));
  const hrtime = (before = [0, 0]) => {
    const [seconds, nanos] = [Math.floor(now / 1_000) - before[0], (now % 1_000) * 1e6 - before[1]];
    return nanos < 0 ? [seconds - 1, nanos + 1e9] : [seconds, nanos];
  };
  replace('hrtime', Object.assign(hrtime, { bigint: () => BigInt(now) * 1_000_000n }), process);
  replace('uptime', () => now / 1_000, process);

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
  const filled = (view) => { fill(over(view)); return view; };
  replace('randomBytes', (size, callback) => answered(fill(Buffer.alloc(size)), callback), crypto);
  replace('randomFillSync', (view, from = 0, size = undefined) => { filled(view.subarray ? view.subarray(from, size && from + size) : view); return view; }, crypto);
  replace('randomFill', (view, ...rest) => answered(crypto.randomFillSync(view, ...rest.slice(0, -1)), rest.at(-1)), crypto);
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

  // What a client writes in two goes is not to wait for the system's ack of the first.
  const { connect } = net.Socket.prototype;
  net.Socket.prototype.connect = function (...given) { return connect.apply(this.setNoDelay(true), given); };
  const socket = net.connect(Number(control), '127.0.0.1');
  socket.setNoDelay(true);
  socket.on('error', () => {});
  const say = (line) => socket.write(`${JSON.stringify(line)}\n`);

  // Timers of the service itself are the simulation's; those of its packages are real, and no part of it.
  const timers = new Map();
  let made = Number(process.env.PELLMELL_TIMERS);
  const isOfService = () => {
    const caller = new Error().stack.split('\n').slice(1).find((line) => !line.includes(__filename)) ?? '';
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
  }, { [require('node:util').promisify.custom]: (ms, value) => sleep(ms, value) });
  globalThis.clearTimeout = (timer) => {
    if (!(timer instanceof Timer)) return forgetForReal(timer);
    if (timers.delete(timer.id)) say({ clear: timer.id });
  };
  const [plain, promised] = [require('node:timers'), require('node:timers/promises')];
  const sleep = (ms, value) => new Promise((done) => globalThis.setTimeout(done, ms, value));
  replace('setTimeout', globalThis.setTimeout, plain);
  replace('clearTimeout', globalThis.clearTimeout, plain);
  replace('setTimeout', sleep, promised);
  replace('wait', (ms) => sleep(ms), promised.scheduler);
  require('node:module').syncBuiltinESMExports(); // for those who import them by name
  globalThis.setInterval = (what, ms, ...given) => {
    if (isOfService()) say({ unsupported: 'setInterval: a timer that fires for ever; let it set a timer with setTimeout when there is something to do' });
    return againForReal(what, ms, ...given);
  };

  // Idle is who has nothing to do but to wait for its sockets, timers, and children that it had when it began.
  const waits = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'TTYWrap', 'Timeout', 'ProcessWrap', 'SignalWrap']);
  const children = (active) => active.filter((kind) => kind === 'ProcessWrap').length;
  let began;
  const whenIdle = (then, calm = 0) => soon(() => {
    const active = process.getActiveResourcesInfo();
    if (active.every((kind) => waits.has(kind)) && children(active) <= (began ?? Infinity)) calm += 1; else calm = 0;
    if (calm < 4) return whenIdle(then, calm);
    began ??= children(active);
    then(active.filter((kind) => kind === 'TCPSocketWrap').length);
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
