'use strict';
// Speaks pellmell's lines of JSON for a service in Node: serve({ keeps, delivery, call, timer, … }) with a function for each input.
const said = [], asking = [];
const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const next = () => (said.length ? Promise.resolve(said.shift()) : new Promise((heard) => asking.push(heard)));

class Nak extends Error { constructor(reason, delay_ms) { super(reason); this.line = { nak: { reason, delay_ms } }; } }
class Refused extends Error { constructor(status, reason) { super(reason); this.line = { refused: { status, reason } }; } }
class Conflict extends Error { constructor(found) { super(`conflict: found ${found}`); this.found = found; } }
// What a handler does about one input; what it does after it has answered it did not wait for.
function context(what, input) {
  let over = false;
  const say = (line) => {
    if (!over) return write(line);
    console.error(`after its answer to ${JSON.stringify({ [what]: input })} a handler does ${JSON.stringify(line)}: something was not awaited`);
    process.exit(1);
  };
  const ask = async (line) => (say(line), next());
  const save = (line) => ask(line).then(({ version, conflict }) => (version === undefined ? Promise.reject(new Conflict(conflict)) : version));
  const ctx = {
    find: async (record) => (await ask({ find: record })).found,
    all: async (kind) => (await ask({ all: kind })).all,
    insert: (record, value, version) => save({ insert: { record, value, version } }),
    update: (record, value, expected, version) => save({ update: { record, value, expected, version } }),
    overwrite: (record, value, version) => save({ overwrite: { record, value, version } }),
    remove: (record, expected) => save({ remove: { record, expected } }), commit: () => say({ commit: true }),
  };
  // ctx.publish({ subject, body }), ctx.saved({ record, version, value }), …, as the lines have it
  for (const what of ['saved', 'removed', 'publish', 'arm', 'call_off', 'outside', 'log']) ctx[what] = (line) => say({ [what]: line });
  return [ctx, () => { over = true; }];
}
async function serve(service) {
  console.log = console.error; // stdout has lines of the protocol alone
  const lines = require('node:readline').createInterface(process.stdin).on('close', () => process.exit(0));
  lines.on('line', (line) => (asking.length ? asking.shift() : (heard) => said.push(heard))(JSON.parse(line)));
  await next(); // hello
  for (let answer = { ready: { protocol: 1, keeps: service.keeps, resets: Boolean(service.reset) } }; ;) {
    write(answer);
    const [[what, input]] = Object.entries(await next());
    const [ctx, end] = context(what, input);
    try {
      const value = await service[what](input, ctx);
      answer = what === 'snapshot' ? { snapshot: value } : { done: true };
    } catch (error) {
      answer = error.line ?? { failed: error.message };
    }
    end();
  }
}
module.exports = { serve, Nak, Refused, Conflict };
