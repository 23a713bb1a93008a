'use strict';
// A shop and a search service over NATS Streaming, with a client of it that needs no package: stan.js shop|search [FLAG…]
const net = require('node:net');
const fs = require('node:fs');
const http = require('node:http');
const { execFile } = require('node:child_process');
const [role, ...flags] = process.argv.slice(2);
const is = (flag) => flags.includes(flag);

const varint = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...varint(Math.floor(n / 128))]);
const bytes = (field, value) => { const data = Buffer.from(value); return Buffer.from([...varint((field << 3) | 2), ...varint(data.length), ...data]); };
const number = (field, value) => Buffer.from([...varint(field << 3), ...varint(value)]);
function read(data) {
  const fields = {};
  let at = 0;
  const next = () => { let n = 0; for (let by = 1; ; by *= 128) { const byte = data[at++]; n += (byte & 127) * by; if (byte < 128) return n; } };
  while (at < data.length) {
    const key = next();
    const value = next();
    fields[key >> 3] = key & 7 ? data.subarray(at, (at += value)) : value;
  }
  return fields;
}

class Client {
  constructor(cluster, done) {
    const { port } = new URL(process.env.NATS_URL);
    this.inboxes = 0;
    this.waits = new Map();
    let text = Buffer.alloc(0);
    this.socket = net.connect(Number(port), '127.0.0.1').on('error', () => process.exit(1)).on('data', (chunk) => {
      text = Buffer.concat([text, chunk]);
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const words = text.subarray(0, end).toString().split(' ');
        const length = words[0] === 'MSG' ? Number(words.at(-1)) + 2 : 0;
        if (text.length < end + 2 + length) return;
        const body = text.subarray(end + 2, end + length);
        text = text.subarray(end + 2 + length);
        if (words[0] === 'PING') this.socket.write('PONG\r\n');
        if (words[0] === 'MSG') this.waits.get(words[1])(read(body));
      }
    });
    this.socket.write('CONNECT {"verbose":false}\r\n');
    const asks = Buffer.concat([bytes(1, process.env.NATS_CLIENT_ID), bytes(2, 'beats')]);
    this.ask(`_STAN.discover.${cluster}`, asks).then((names) => { this.names = names; done(this); });
  }

  hear(heard) { const inbox = `inbox.${(this.inboxes += 1)}`; this.waits.set(inbox, heard); this.socket.write(`SUB ${inbox} ${this.inboxes}\r\n`); return inbox; }
  say(subject, reply, data) { this.socket.write(Buffer.concat([Buffer.from(`PUB ${subject} ${reply}${data.length}\r\n`), data, Buffer.from('\r\n')])); }
  ask(subject, data) { return new Promise((done) => this.say(subject, `${this.hear(done)} `, data)); }
  publish(subject, body) { return this.ask(`${this.names[1]}.${subject}`, Buffer.concat([bytes(2, 'guid'), bytes(3, subject), bytes(5, body)])); }

  async subscribe(subject, handle) {
    const inbox = this.hear((message) => handle(JSON.parse(message[4].toString()), () => this.say(acks, '', Buffer.concat([bytes(1, subject), number(2, message[1])]))));
    const asks = [bytes(1, process.env.NATS_CLIENT_ID), bytes(2, subject), bytes(3, role), bytes(4, inbox), bytes(7, role)];
    const acks = (await this.ask(this.names[2].toString(), Buffer.concat(asks)))[2].toString();
  }
}

const file = `${process.env.PELLMELL_FOLDER}/records.json`;
const records = new Map((fs.existsSync(file) ? JSON.parse(fs.readFileSync(file)) : []).map((row) => [row.record, row]));
const save = (record, version, price) => { records.set(record, { record, version, value: { price } }); fs.writeFileSync(file, JSON.stringify([...records.values()])); };

// What a service in Node may take from elsewhere.
const urandom = () => { const file = fs.openSync('/dev/urandom'); const bytes = Buffer.alloc(4); fs.readSync(file, bytes); fs.closeSync(file); return bytes.readUInt32LE(); };
const shuffled = () => Number([1, 2, 3, 4, 5, 6, 7, 8].map((key) => [urandom(), key]).sort((one, other) => one[0] - other[0]).map(([, key]) => key).join(''));
// By name, as modules import them.
const imported = Promise.all([import('node:crypto'), import('node:process')]);
const faked = async () => {
  const [named, { hrtime }] = await imported;
  const { createHash, randomUUID, randomBytes, randomFillSync, webcrypto } = require('node:crypto');
  const clocks = [Date.now(), performance.now(), performance.timeOrigin, process.uptime(), ...process.hrtime(), Number(process.hrtime.bigint()), ...hrtime()];
  const bytes = [randomBytes(4), randomFillSync(Buffer.alloc(4), 2), webcrypto.getRandomValues(Buffer.alloc(4))].map((bytes) => bytes.toString('hex'));
  return createHash('sha256').update([...clocks, ...bytes, Math.random(), randomUUID(), crypto.randomUUID(), named.randomUUID()].join()).digest().readUInt32LE();
};
const planted = { chance: faked, urandom, mtime: () => Math.floor(fs.statSync(file).mtimeMs) % 4e9, order: shuffled };

const connect = (done) => imported.then(() => new Client(is('elsewhere') ? 'other' : process.env.NATS_CLUSTER_ID, done));
if (role === 'shop') {
  connect((client) => http.createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => { text += chunk; }).on('end', async () => {
      if (request.url === '/records') return response.end(is('garbage') ? 'soon' : JSON.stringify([...records.values()]));
      const id = request.url.split('/')[2];
      const { price } = JSON.parse(text);
      if (price > 100) { response.statusCode = 400; return response.end('too much'); }
      const version = records.has(id) ? records.get(id).version + 1 : 0;
      save(id, version, price);
      await client.publish('item:changed', JSON.stringify({ id, price, version }));
      response.end();
    });
  }).listen(Number(process.env.PORT), '127.0.0.1'));
} else if (!is('deaf')) {
  connect((client) => client.subscribe('item:changed', async ({ id, price, version }, ack) => {
    const held = records.get(id)?.version ?? -1;
    if (is('core')) client.say('news', '', Buffer.from('hello'));
    if (is('headers')) client.socket.write('HPUB news 18 20\r\nNATS/1.0\r\na: b\r\n\r\nhi\r\n');
    if (is('waits')) await Promise.all([new Promise((done) => setTimeout(done, 5_000)), require('node:timers/promises').setTimeout(5_000)]);
    if (!is('careless') && version > held + 1) {
      console.error('a version is missing');
      if (is('ends')) process.exit(3);
      return;
    }
    const from = Object.keys(planted).find(is);
    if (from === 'mtime') save(id, version, 0);
    if (is('careless') || version > held) save(id, version, from ? await planted[from]() : price);
    if (is('unawaited')) fs.promises.stat(file).then(() => execFile('sleep', ['0.02'], () => save(id, version, price + 1)));
    if (is('reads') && !fs.existsSync(`${file}.seen`)) await fs.promises.writeFile(`${file}.seen`, '');
    ack();
    if (is('late')) setTimeout(() => ack(), 30_000);
    if (is('hangs')) for (;;);
  }));
}
