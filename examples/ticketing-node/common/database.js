'use strict';
// The database of a service: a file in PELLMELL_FOLDER, which survives a crash.
const path = require('node:path');
const Sqlite = require('better-sqlite3');
const bus = require('../bus.js');
const stage = require('./stage.js');

const models = [];
let database;
// What was saved in a transaction that is not committed.
let uncommitted;

function open() {
  database?.close();
  database = new Sqlite(path.join(process.env.PELLMELL_FOLDER ?? '.', 'service.db'));
  database.pragma('journal_mode = WAL');
  // What is committed survives the process; that the machine fails is not what is tested.
  database.pragma('synchronous = OFF');
  database.exec('CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY, subject TEXT, data TEXT)');
  for (const { table, columns } of models) {
    const fields = Object.entries({ version: 'INTEGER NOT NULL', ...columns }).map(([name, type]) => `, ${name} ${type}`);
    database.exec(`CREATE TABLE IF NOT EXISTS ${table} (id TEXT PRIMARY KEY${fields.join('')})`);
  }
}

// A document with a version, as mongoose and mongoose-update-if-current have it: an insert is version 0, and a save is
// of the version that was read, or an error, and raises it by one, also if nothing has changed.
class Model {
  // What is said of a save, unless it is as the columns are.
  toRecord() {
    return Object.fromEntries(Object.keys(this.constructor.columns).map((name) => [name, this[name]]));
  }

  static register() {
    models.push(this);
  }

  static build(fields) {
    return Object.assign(new this(), fields);
  }

  static findOne(where) {
    return this.find(where)[0];
  }

  static find(where = {}) {
    const names = Object.keys(where);
    const condition = names.length ? `WHERE ${names.map((name) => `${name} = ?`).join(' AND ')}` : '';
    const rows = database.prepare(`SELECT * FROM ${this.table} ${condition} ORDER BY id`).all(...Object.values(where));
    return rows.map((row) => this.build(row));
  }

  static findById(id) {
    return this.findOne({ id });
  }

  // The version query: the document before the event.
  static findByEvent({ id, version }) {
    return this.findOne({ id, version: version - 1 });
  }

  save() {
    const { table, columns } = this.constructor;
    const names = Object.keys(columns);
    const values = names.map((name) => this[name] ?? null);
    if (this.version === undefined) {
      const places = names.map(() => ', ?').join('');
      const insert = `INSERT INTO ${table} (id, version, ${names.join(', ')}) VALUES (?, 0${places})`;
      try {
        database.prepare(insert).run(this.id, ...values);
      } catch (error) {
        throw error.code === 'SQLITE_CONSTRAINT_PRIMARYKEY' ? new DuplicateKey() : error;
      }
      this.version = 0;
    } else {
      const changes = names.map((name) => `${name} = ?`).join(', ');
      const update = `UPDATE ${table} SET version = version + 1, ${changes} WHERE id = ? AND version = ?`;
      if (database.prepare(update).run(...values, this.id, this.version).changes === 0) throw new VersionError();
      this.version += 1;
    }
    const saved = { record: this.id, version: this.version, value: this.toRecord() };
    if (uncommitted) uncommitted.push(saved);
    else bus.saved(saved);
  }
}

class VersionError extends Error {
  constructor() {
    super('version error');
    this.status = 400;
  }
}

class DuplicateKey extends Error {
  constructor() {
    super('duplicate key');
  }
}

// Runs what saves, and then publishes what it gave to `publish`. With an outbox both are in one transaction, and what a
// crash keeps from being published is published at the next start.
async function saveAndPublish(client, run) {
  const events = [];
  const publish = (Publisher, data) => events.push([Publisher, data]);
  if (!stage.outbox) {
    run(publish);
    for (const [Publisher, data] of events) await new Publisher(client).publish(data);
    return;
  }
  uncommitted = [];
  try {
    database.transaction(() => {
      run(publish);
      const keep = database.prepare('INSERT INTO outbox (subject, data) VALUES (?, ?)');
      for (const [Publisher, data] of events) keep.run(new Publisher(client).subject, JSON.stringify(data));
    })();
    uncommitted.forEach(bus.saved);
  } finally {
    uncommitted = undefined;
  }
  await relay(client);
}

// Publishes what the outbox has, in order; of several who ask one goes on after the other.
let relaying = Promise.resolve();
const relay = (client) => (relaying = relaying.catch(() => {}).then(() => publishAll(client)));

async function publishAll(client) {
  for (const { number, subject, data } of database.prepare('SELECT * FROM outbox ORDER BY number').all()) {
    await new Promise((done, failed) => client.publish(subject, data, (error) => (error ? failed(error) : done())));
    database.prepare('DELETE FROM outbox WHERE number = ?').run(number);
  }
}

// All that is saved, as a probe asks for it.
const records = () =>
  models.flatMap((model) => model.find()).map((row) => ({ record: row.id, version: row.version, value: row.toRecord() }));

module.exports = { Model, VersionError, DuplicateKey, open, relay, records, saveAndPublish };
