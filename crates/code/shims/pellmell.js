'use strict';
// Speaks pellmell's lines of JSON for a service in Node: serve({ keeps, delivery, call, timer, … }) with a function for each input.
const said = [], asking = [];
let handling = true; // what a handler does after it has answered it did not wait for
const write = (line) => {
  if (!handling) throw new Error(`after its answer a handler does ${JSON.stringify(line)}: something was not awaited`);
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
const next = () => (said.length ? Promise.resolve(said.shift()) : new Promise((heard) => asking.push(heard)));
const ask = async (line) => { write(line); return next(); };

class Nak extends Error { constructor(reason, delay_ms) { super(reason); this.line = { nak: { reason, delay_ms } }; } }
class Refused extends Error { constructor(status, reason) { super(reason); this.line = { refused: { status, reason } }; } }
class Conflict extends Error { constructor(found) { super(`conflict: found ${found}`); this.found = found; } }
const save = async (line) => {
  const { version, conflict } = await ask(line);
  if (version === undefined) throw new Conflict(conflict);
  return version;
};
const ctx = {
  find: async (record) => (await ask({ find: record })).found,
  all: async (kind) => (await ask({ all: kind })).all,
  insert: (record, value, version) => save({ insert: { record, value, version } }),
  update: (record, value, expected, version) => save({ update: { record, value, expected, version } }),
  overwrite: (record, value, version) => save({ overwrite: { record, value, version } }),
  remove: (record, expected) => save({ remove: { record, expected } }),
  commit: () => write({ commit: true }),
};
// What the lines have, by name: ctx.publish({ subject, body }), ctx.saved({ record, version, value }), …
for (const what of ['saved', 'removed', 'publish', 'arm', 'call_off', 'outside', 'log']) ctx[what] = (line) => write({ [what]: line });

async function serve(service) {
  console.log = console.error; // stdout has lines of the protocol alone
  const lines = require('node:readline').createInterface(process.stdin).on('close', () => process.exit(0));
  lines.on('line', (line) => (asking.length ? asking.shift() : (heard) => said.push(heard))(JSON.parse(line)));
  await next(); // hello
  for (let answer = { ready: { protocol: 1, keeps: service.keeps, resets: Boolean(service.reset) } }; ;) {
    write(answer);
    handling = false;
    const [[what, input]] = Object.entries(await next());
    handling = true;
    try {
      const value = await service[what](input, ctx);
      answer = what === 'snapshot' ? { snapshot: value } : { done: true };
    } catch (error) {
      answer = error.line ?? { failed: error.message };
    }
  }
}
module.exports = { serve, Nak, Refused, Conflict };
