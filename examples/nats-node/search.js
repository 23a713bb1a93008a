'use strict';
// A search service: it keeps copies of the items of the shop, as they come, or with `in-order` those that are newer.
const fs = require('node:fs');
const { connect } = require('@nats-io/transport-node');
const { jetstream, jetstreamManager, AckPolicy } = require('@nats-io/jetstream');

const file = `${process.env.PELLMELL_FOLDER || '.'}/search.json`;
const items = new Map((fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : []).map((row) => [row.record, row]));
const inOrder = process.argv[2] === 'in-order';

function store({ id, price, version }) {
  if (inOrder && items.has(id) && items.get(id).version >= version) return;
  items.set(id, { record: id, version, value: { price } });
  fs.writeFileSync(file, JSON.stringify([...items.values()]));
}

async function main() {
  const connection = await connect({ servers: process.env.NATS_URL });
  const manager = await jetstreamManager(connection);
  const wanted = { durable_name: 'search', ack_policy: AckPolicy.Explicit, filter_subject: 'item.changed' };
  await manager.consumers.add('ITEMS', wanted);
  const consumer = await jetstream(connection).consumers.get('ITEMS', 'search');
  for await (const message of await consumer.consume()) {
    store(message.json());
    message.ack();
  }
}

main();
