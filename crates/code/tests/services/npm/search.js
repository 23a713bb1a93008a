'use strict';
const fs = require('node:fs');
const { connect } = require('@nats-io/transport-node');
const { jetstream, jetstreamManager, AckPolicy } = require('@nats-io/jetstream');

const file = `${process.env.PELLMELL_FOLDER}/records.json`;
const records = new Map((fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : []).map((row) => [row.record, row]));

async function main() {
  const connection = await connect({ servers: process.env.NATS_URL });
  const manager = await jetstreamManager(connection);
  await manager.consumers.add('ITEMS', { durable_name: 'search', ack_policy: AckPolicy.Explicit, filter_subject: 'item.changed' });
  const consumer = await jetstream(connection).consumers.get('ITEMS', 'search');
  for await (const message of await consumer.consume()) {
    const { id, price, version } = message.json();
    if (process.argv[2] === 'careless' || version > (records.get(id)?.version ?? -1)) {
      records.set(id, { record: id, version, value: { price } });
      fs.writeFileSync(file, JSON.stringify([...records.values()]));
    }
    message.ack();
  }
}

main();
