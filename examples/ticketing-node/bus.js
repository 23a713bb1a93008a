'use strict';
// What a service is connected to: NATS Streaming and HTTP if NATS_URL says where, else pellmell's lines of JSON.
// Either way `client` is what node-nats-streaming's client is to the course's listeners and publishers.
const overNats = Boolean(process.env.NATS_URL);

// Refuses a command with an HTTP status.
class RequestError extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

// Starts a service: `listen(client)` registers its listeners, `routes` has a function for each command, `onTimer` is
// called with the id of a record when its time has come, `records()` is what it has saved, and `reset()` takes it back
// to its beginning.
const start = (service) => (overNats ? startOverNats(service) : startOverLines(service));

let now = () => Date.now();
let ctx; // of the lines, while an input is handled
let armed; // how NATS Streaming's service waits

// The time in milliseconds since 1970. A run of pellmell begins with 1970.
const bus = {
  RequestError,
  start,
  now: () => now(),
  // Says what was saved.
  saved: (record) => ctx?.saved(record),
  // Calls `onTimer` after a while, or at once if that is over.
  arm: (record, after) => (ctx ? ctx.arm({ record, after_ms: Math.max(0, after) }) : armed(record, after)),
};
module.exports = bus;

// Over lines of JSON, on stdin and stdout.

function startOverLines(service) {
  const { serve, Refused } = require('./pellmell.js');
  const client = new Lines();
  service.listen(client);
  const within = (handle) => async (input, itsCtx) => {
    [ctx, now] = [itsCtx, () => input.now_ms];
    return handle(input);
  };
  serve({
    keeps: 'own',
    delivery: within((input) => client.deliver(input)),
    call: within(async ({ name, body }) => {
      try {
        await run(service, name, body);
      } catch (error) {
        throw error instanceof RequestError ? new Refused(error.status, error.message) : error;
      }
    }),
    timer: within(({ record }) => service.onTimer(record)),
    reset: () => service.reset(),
  });
}

// What stands for node-nats-streaming's client.
class Lines {
  subscriptions = new Map();

  subscriptionOptions() {
    const options = {};
    const any = () => options;
    for (const of of ['setDeliverAllAvailable', 'setManualAckMode', 'setAckWait', 'setDurableName']) options[of] = any;
    return options;
  }

  subscribe(subject) {
    return { on: (_, handle) => this.subscriptions.set(subject, handle) };
  }

  publish(subject, data, done) {
    ctx.publish({ subject, body: JSON.parse(data) });
    done();
  }

  // A message that is not acked comes again.
  async deliver({ subject, body, attempt }) {
    let acked = false;
    const handle = this.subscriptions.get(subject);
    if (!handle) throw new Error(`nobody listens to ${subject}`);
    await handle({
      getSubject: () => subject,
      getData: () => JSON.stringify(body),
      isRedelivered: () => attempt > 1,
      ack: () => { acked = true; },
    });
    if (!acked) throw new Error('not acked');
  }
}

// Over NATS Streaming, with HTTP for commands: POST /NAME runs a command, and GET /pellmell/records says what is saved.

function startOverNats(service) {
  const { NATS_URL: url, NATS_CLUSTER_ID: cluster, NATS_CLIENT_ID: id, PORT: port = '3000' } = process.env;
  const stan = require('node-nats-streaming').connect(cluster, id, { url });
  const end = () => stan.close();
  stan.on('error', (error) => { console.error(error.message); process.exit(1); });
  stan.on('close', () => process.exit(0));
  process.on('SIGINT', end).on('SIGTERM', end);
  // A listener that throws has not acked, and its message comes again.
  process.on('unhandledRejection', (error) => console.error(`not acked: ${error.message}`));
  armed = (record, after) => setTimeout(() => service.onTimer(record), Math.max(0, after));
  stan.on('connect', () => {
    service.listen(stan);
    service.started?.();
    const server = require('node:http').createServer((request, response) => answer(service, request, response));
    server.listen(Number(port), '127.0.0.1');
  });
}

async function answer(service, request, response) {
  const [, name] = request.url.split('/');
  const say = (status, value) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(value ?? {}));
  };
  try {
    if (request.method === 'GET' && request.url === '/pellmell/records') return say(200, service.records());
    if (request.method !== 'POST') throw new RequestError(404, 'not found');
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { status = 200, value } = (await run(service, name, JSON.parse(Buffer.concat(chunks)))) ?? {};
    say(status, value);
  } catch (error) {
    // As in the course, whatever else goes wrong is a bad request.
    say(error.status ?? 400, { errors: [{ message: error.message }] });
  }
}

async function run(service, name, body) {
  const route = Object.hasOwn(service.routes, name) && service.routes[name];
  if (!route) throw new RequestError(404, `there is no command ${name}`);
  return route(body);
}
